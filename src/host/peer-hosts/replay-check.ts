// Refuses a letter of another host that is old or was handled before.

import type { SeenLetters } from '../../store/seen-letters.ts'
import type { HostContext } from '../context.ts'
import type { DropReason } from '../events.ts'
import type { PeerHostLetter } from './peer-host-letter.ts'

/** Call it once for each letter, inside the letter's transaction. Null when the letter is fresh and new: its ID is then
 *  remembered. `now` is wall time. */
export function checkReplay(
  { settings }: Pick<HostContext, 'settings'>,
  seen: SeenLetters,
  { from, id, sentAt }: PeerHostLetter,
  now: number,
): DropReason | null {
  if (sentAt <= seen.forgottenUntil || now - sentAt > settings.freshnessMs) return 'stale'
  return seen.remember(from, id, sentAt) ? null : 'copy'
}
