// What a host can be asked to do about invites and blocked agents while it runs.

import type { InviteOrder, ListedBlock, ListedInvite, MadeInvite } from './host-schemas.ts'

/** All of it throws a Problem for what cannot be done. */
export type HostAdmin = {
  /** Oldest first. */
  readonly invites: () => readonly ListedInvite[]
  readonly invite: (order: InviteOrder) => MadeInvite
  /** `which`: an ID, its beginning or a name. `removed`: how many who came by it are out of the table. */
  readonly revoke: (which: string) => { readonly id: string; readonly removed: number }
  readonly blocked: () => readonly ListedBlock[]
  /** `who`: a user ID, or the nickname of one who is in the table. */
  readonly block: (who: string) => ListedBlock
  readonly unblock: (who: string) => ListedBlock
}
