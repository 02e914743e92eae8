// The settings of a host and their defaults.

import type { Family } from '../base/endpoint.ts'
import { defaultUnreachable, type UnreachableSettings } from '../store/unreachable-addresses.ts'
import type { SenderLimitSettings } from './requests/sender-rate-limits.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs

export type HostSettings = {
  /** How many letters of one sender the host accepts. */
  readonly limits: SenderLimitSettings
  /** The authserv-id (RFC 8601) of our receiving mail server. Only mail whose From it authenticated is accepted; null: any
   *  mail. */
  readonly trustedAuthservId: string | null
  /** How many mails the host may send in a day; 0: no limit. */
  readonly perDay: number
  /** Entries in the table over all rooms. A new one overwrites the oldest (A4). */
  readonly capacity: number
  /** How long an entry stays after its last request (A4). */
  readonly expiryMs: number
  /** Letters that are older, by their signed time or by their mail's Date, are dropped (A3). */
  readonly freshnessMs: number
  /** How far a sender's clock may be ahead of ours. */
  readonly futureToleranceMs: number
  /** The most peers in a reply; 0..16. */
  readonly replyPeers: number
  /** How long the host collects requesters for one recipient into one introduction. */
  readonly introductionWindowMs: number
  /** The same while the host works off a backlog. */
  readonly introductionHoldMs: number
  /** Two agents whose public addresses share this many bits are behind the same NAT (B1, B2). */
  readonly natPrefix: Readonly<Record<Family, number>>
  /** The host scans the mailbox at least this often, also without wake-ups. */
  readonly sweepMs: number
  /** Mails fetched from the mailbox at a time. Up to three times as many are in memory. */
  readonly batchMails: number
  /** The most mails in the outbox. While it is full, letters stay in the mailbox. */
  readonly outboxCapacity: number
  /** The most letter IDs that the host remembers. Beyond it the oldest are forgotten, and letters as old as those are
   *  refused. */
  readonly seenCapacity: number
  /** The wait after the first failed attempt to send. It doubles each time, up to `retryMaxMs`. */
  readonly retryFirstMs: number
  readonly retryMaxMs: number
  /** A mail that cannot be sent for this long is given up. */
  readonly keepUnsentMs: number
  /** For how long the host sends nothing to an address whose mail bounced. */
  readonly unreachable: UnreachableSettings
  /** A representative gives a letter to another worker when the first one does not confirm it within this time (A14). A worker
   *  that sent nothing for this long meanwhile counts as dead until it sends again. */
  readonly forwardSilenceMs: number
  /** The most senders whose worker a representative remembers. Beyond it, those that were silent longest are forgotten. */
  readonly forwardSenders: number
  /** The most letters that no worker has confirmed. Beyond it, letters stay in the representative's mailbox. */
  readonly forwardsWaiting: number
  /** How long a worker collects the letters that it took into one report to its representative. */
  readonly takenAfterMs: number
  /** A worker sends its representative at least this often a sign of life. */
  readonly signOfLifeMs: number
  /** How long `stop` waits for mails that are being sent. */
  readonly stopGraceMs: number
  /** A standby host answers a request when no other host reports it within this time. The second standby host in the order
   *  waits twice as long, and so on. Null: this host never stands by. */
  readonly standbyMs: number | null
  /** Several processes on one database: how long a process leases mails of the mailbox. */
  readonly letterLeaseMs: number
  /** How long it leases mails of the outbox. At least twice the longest time to send one, or a mail may go out twice. */
  readonly mailLeaseMs: number
  /** The time between two steps of cleanup. */
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
