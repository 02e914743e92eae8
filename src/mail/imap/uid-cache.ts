// Adds to imapflow: remembers which UIDs wait, which are foreign, and up to which UID the folder was searched.
// It saves searches and downloads. If it is lost, that costs time but no mail.

import { fairOrder, type MayTakeNewest } from '../../base/fair-order.ts'

type UidCacheLimits = {
  /** Waiting UIDs. Beyond this some are left to a later search: the newest ones, or those in the middle if the
   *  newest may come first. */
  readonly waiting: number
  /** Foreign UIDs: they matched the search, but are not ours. Beyond this the oldest are dropped and read again. */
  readonly foreign: number
}

const uidCacheLimits: UidCacheLimits = { waiting: 20_000, foreign: 20_000 }

export class UidCache {
  #validity = ''
  /** Ascending. */
  #waiting: number[] = []
  readonly #foreign = new Set<number>()
  #scannedTo = 0
  /** Whether the newest UIDs were left out. */
  #truncated = false
  /** How many UIDs in the middle were left out. */
  #gap = 0
  readonly #limits: UidCacheLimits
  readonly #mayTakeNewest: MayTakeNewest

  constructor(mayTakeNewest: MayTakeNewest = () => false, limits: UidCacheLimits = uidCacheLimits) {
    this.#mayTakeNewest = mayTakeNewest
    this.#limits = limits
  }

  /** UIDs are valid only for one UIDVALIDITY (RFC 3501 §2.3.1.1). Another one empties the cache. */
  useValidity(validity: string): void {
    if (validity === this.#validity) return
    this.#validity = validity
    this.#waiting = []
    this.#foreign.clear()
    this.#scannedTo = 0
    this.#truncated = false
    this.#gap = 0
  }

  /** The first UID of an incremental search. */
  get scanFrom(): number {
    return this.#scannedTo + 1
  }

  /** Too many mails were found, and the newest were left out. Search again when the waiting ones are done. */
  get truncated(): boolean {
    return this.#truncated
  }

  /** Mails in the middle were left out, and no others wait. Only a full search finds them. */
  get needsFullScan(): boolean {
    return this.#gap > 0 && this.#waiting.length === 0
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** `uids`: the result of a search of the whole folder. `existing`: all mails up to this UID were there when the
   *  search began, so they need no second search. */
  noteFullScan(uids: readonly number[], existing: number): void {
    this.#waiting = []
    this.#scannedTo = 0
    this.#gap = 0
    this.noteNew(uids)
    if (!this.#truncated) this.#scannedTo = Math.max(this.#scannedTo, existing)
  }

  /** `uids`: the result of a search from `scanFrom` on. Lower UIDs are ignored: `n:*` finds the last mail if there
   *  is none from n on (RFC 3501 §6.4.8). */
  noteNew(uids: readonly number[]): void {
    this.#truncated = false
    const from = this.scanFrom
    const fresh = uids.filter((uid) => uid >= from).sort((a, b) => a - b)
    this.#waiting.push(...fresh.filter((uid) => !this.#foreign.has(uid)))
    this.#scannedTo = fresh.at(-1) ?? this.#scannedTo
    const { waiting: limit } = this.#limits
    if (this.#waiting.length <= limit) return
    if (this.#mayTakeNewest(this.#waiting.length + this.#gap)) {
      this.#gap += this.#waiting.splice(Math.ceil(limit / 2), this.#waiting.length - limit).length
    } else {
      this.#waiting.length = limit
      this.#scannedTo = this.#waiting.at(-1) ?? this.#scannedTo
      this.#truncated = true
    }
  }

  /** Waiting UIDs that are not `held`: the oldest, or the newest and the oldest alternately. */
  next(count: number, held: (uid: number) => boolean): number[] {
    const chosen: number[] = []
    for (const uid of fairOrder(this.#waiting, (waiting) => this.#mayTakeNewest(waiting + this.#gap))) {
      if (chosen.length >= count) break
      if (!held(uid)) chosen.push(uid)
    }
    return chosen
  }

  noteForeign(uid: number): void {
    if (this.#foreign.size >= this.#limits.foreign) {
      const [oldest] = this.#foreign
      if (oldest !== undefined) this.#foreign.delete(oldest)
    }
    this.#foreign.add(uid)
    this.noteGone([uid])
  }

  noteGone(uids: readonly number[]): void {
    const gone = new Set(uids)
    this.#waiting = this.#waiting.filter((uid) => !gone.has(uid))
  }
}
