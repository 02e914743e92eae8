// What we know of an IMAP folder: which mails wait for us, which only look like ours, and up to where we
// have looked. It saves searching and downloading; losing it costs time, never a mail.

import { fairOrder, type MayTakeNewest } from '../../base/fair-order.ts'

type LedgerLimits = {
  /** UIDs waiting. Beyond it some are left for a later scan: the newest, or where the newest may come first those in the
   *  middle. */
  readonly waiting: number
  /** UIDs that matched the search but are not ours. Beyond it the oldest are forgotten and read once more. */
  readonly foreign: number
}

const ledgerLimits: LedgerLimits = { waiting: 20_000, foreign: 20_000 }

export class UidCache {
  #validity = ''
  /** Ascending. */
  #waiting: number[] = []
  readonly #foreign = new Set<number>()
  #scannedTo = 0
  /** The newest were left out … */
  #truncated = false
  /** … or so many in between. */
  #gap = 0
  readonly #limits: LedgerLimits
  readonly #mayTakeNewest: MayTakeNewest

  constructor(mayTakeNewest: MayTakeNewest = () => false, limits: LedgerLimits = ledgerLimits) {
    this.#mayTakeNewest = mayTakeNewest
    this.#limits = limits
  }

  /** UIDs mean something only under their UIDVALIDITY (RFC 3501 §2.3.1.1). */
  useValidity(validity: string): void {
    if (validity === this.#validity) return
    this.#validity = validity
    this.#waiting = []
    this.#foreign.clear()
    this.#scannedTo = 0
    this.#truncated = false
    this.#gap = 0
  }

  /** The first UID an incremental scan has to look at. */
  get scanFrom(): number {
    return this.#scannedTo + 1
  }

  /** Mails were left out because there were too many: scan again when these are worked off. */
  get truncated(): boolean {
    return this.#truncated
  }

  /** Of those left out some are older than what was looked at since. */
  get needsFullScan(): boolean {
    return this.#gap > 0 && this.#waiting.length === 0
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Everything the folder holds for us, whatever was known before. `existing`: a UID up to which all mails
   *  were there when the search began, so that the foreign ones among them need no second look. */
  noteFullScan(uids: readonly number[], existing: number): void {
    this.#waiting = []
    this.#scannedTo = 0
    this.#gap = 0
    this.noteNew(uids)
    if (!this.#truncated) this.#scannedTo = Math.max(this.#scannedTo, existing)
  }

  /** What was found from `scanFrom` on. Lower UIDs are passed over: `n:*` answers with the last mail when
   *  there is none above (RFC 3501 §6.4.8). */
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

  /** Of the waiting ones that are not in somebody's hand: the oldest, or in turns. */
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
