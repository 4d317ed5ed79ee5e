export { MessageContract, PACT_FOLDER, startContract } from './message-contract.ts';
export type { ContractedMessage, ContractedReply } from './message-contract.ts';
