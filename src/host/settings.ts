// What can be set about a host, and what each setting is when nobody sets it.

import type { Family } from '../base/endpoint.ts'
import { defaultUnreachable, type UnreachableSettings } from '../store/unreachable-addresses.ts'
import type { SenderLimitSettings } from './requests/sender-rate-limits.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs

export type HostSettings = {
  /** Letters of one sender that are granted. */
  readonly limits: SenderLimitSettings
  /** Only mail that this server, at the border of our mail, found to be by its From counts; null: any mail. */
  readonly trustedAuthservId: string | null
  /** Mails that leave the mailbox in a day; 0 for any number. */
  readonly perDay: number
  /** Entries in the table over all rooms; newer overwrite oldest (A4). */
  readonly capacity: number
  /** How long an entry stays after its last request (A4). */
  readonly expiryMs: number
  /** Older letters, by their signed time or their mail's Date, are dropped (A3). */
  readonly freshnessMs: number
  /** How far a sender's clock may be ahead of ours. */
  readonly futureToleranceMs: number
  /** Peers in a reply, at most; 0..16. */
  readonly replyPeers: number
  /** Askers for one recipient are gathered this long into one introduction. */
  readonly introductionWindowMs: number
  /** While a backlog is worked off introductions wait for more askers, but never longer than this. */
  readonly introductionHoldMs: number
  /** Two agents whose public addresses share this many bits are behind the same NAT (B1, B2). */
  readonly natPrefix: Readonly<Record<Family, number>>
  /** The mailbox is looked through at least this often, whatever wake-ups say. */
  readonly sweepMs: number
  /** Mails taken from the mailbox at a time; up to three times as many are in memory. */
  readonly batchMails: number
  /** Mails waiting to be sent, at most; when it is full no more letters are taken from the mailbox. */
  readonly outboxCapacity: number
  /** Letter IDs remembered, at most; when it is full the oldest go, and letters as old as they are refused. */
  readonly seenCapacity: number
  /** Wait after the first failed attempt to send; doubles each time up to `retryMaxMs`. */
  readonly retryFirstMs: number
  readonly retryMaxMs: number
  /** A mail that could not be sent for this long is given up. */
  readonly keepUnsentMs: number
  /** Where mail came back from, and for how long nothing goes there. */
  readonly unreachable: UnreachableSettings
  /** A letter that a representative host gave to a worker, which took it no sooner, goes to another (A14); and a worker not
   *  heard for so long meanwhile counts as dead until it is. */
  readonly forwardSilenceMs: number
  /** Senders whose worker a representative host remembers, at most; beyond it those silent longest get one anew. */
  readonly forwardSenders: number
  /** Letters no worker took yet, at most; then no more are taken from the mailbox. */
  readonly forwardsWaiting: number
  /** A worker gathers this long what it took into one letter to its representative. */
  readonly takenAfterMs: number
  /** A worker tells its representative that it is there this often, if nothing else did. */
  readonly signOfLifeMs: number
  /** How long `stop` waits for mails that are under way. */
  readonly stopGraceMs: number
  /** A host that stands by answers when no other one tells of a request for so long, twice as long if one comes before it,
   *  and so on; null: it never stands by. */
  readonly standbyMs: number | null
  /** Of several processes on one database: how long the mails of the mailbox that one has in hand are left to it … */
  readonly letterLeaseMs: number
  /** … and those of the outbox that it sends. Twice as long as the longest sending at least, or one goes out twice. */
  readonly mailLeaseMs: number
  /** Time between the small steps of cleanup. */
  readonly cleanupMs: number
}

export const defaultHostSettings: HostSettings = {
  limits: { perKey: 240, perAddress: 480, perDomain: 20_000 },
  trustedAuthservId: null,
  perDay: 0,
  capacity: 10_000,
  expiryMs: 12 * hourMs,
  freshnessMs: 12 * hourMs,
  futureToleranceMs: hourMs,
  replyPeers: 8,
  introductionWindowMs: 250,
  introductionHoldMs: 2_000,
  natPrefix: { 4: 32, 6: 64 },
  sweepMs: minuteMs,
  batchMails: 50,
  outboxCapacity: 20_000,
  seenCapacity: 1_000_000,
  retryFirstMs: 5_000,
  retryMaxMs: 10 * minuteMs,
  keepUnsentMs: 12 * hourMs,
  unreachable: defaultUnreachable,
  forwardSilenceMs: 2 * minuteMs,
  forwardSenders: 100_000,
  forwardsWaiting: 10_000,
  takenAfterMs: 2_000,
  signOfLifeMs: 10 * minuteMs,
  stopGraceMs: 5_000,
  standbyMs: null,
  letterLeaseMs: minuteMs,
  mailLeaseMs: 10 * minuteMs,
  cleanupMs: 5_000,
}
