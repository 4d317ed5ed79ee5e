import { natsDocument } from './asyncapi.ts';
import { adminApiDocument, deviceApiDocument } from './openapi.ts';

/** @returns file name in docs/api → its text */
export function apiDocuments(): ReadonlyMap<string, string> {
  const documents = {
    'sync-v1.openapi.json': deviceApiDocument(),
    'admin-v1.openapi.json': adminApiDocument(),
    'asyncapi.json': natsDocument(),
  };
  return new Map(
    Object.entries(documents).map(([file, json]) => [file, `${JSON.stringify(json, null, 2)}\n`]),
  );
}
