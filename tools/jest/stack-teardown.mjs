import { stop } from './stack-setup.mjs';

export default stop;
