/** As much of `expo-secure-store` as the quickstart uses: a file for each key, in the working folder. */
import { readFile, writeFile } from 'node:fs/promises';

export async function getItemAsync(key: string): Promise<string | null> {
  return readFile(`${key}.json`, 'utf8').catch(() => null);
}

export async function setItemAsync(key: string, value: string): Promise<void> {
  await writeFile(`${key}.json`, value);
}
