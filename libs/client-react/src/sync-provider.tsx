import { type ReactNode, createContext } from 'react';

const Context = createContext<null>(null);
export function SyncProvider({ children }: { readonly children: ReactNode }) {
  return <Context value={null}>{children}</Context>;
}
