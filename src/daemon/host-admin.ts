// Managing invites and blocked agents of a running host.

import type { InviteOrder, ListedBlock, ListedInvite, MadeInvite } from './host-schemas.ts'

/** Every function throws a Problem when it fails. */
export type HostAdmin = {
  /** Oldest first. */
  readonly invites: () => readonly ListedInvite[]
  readonly invite: (order: InviteOrder) => MadeInvite
  /** `which` is an ID, its beginning or a name. `removed` is the number of its agents that were removed from the table. */
  readonly revoke: (which: string) => { readonly id: string; readonly removed: number }
  readonly blocked: () => readonly ListedBlock[]
  /** `who` is a user ID, or the nickname of an agent in the table. */
  readonly block: (who: string) => ListedBlock
  readonly unblock: (who: string) => ListedBlock
}
