// A representative host (A14): letters of agents, which it cannot open, go to its workers evenly, the
// same agent's always to the same one. What a worker does not say it took goes out again.

import { toHex, utf8 } from '../../base/bytes.ts'
import { sameAddress } from '../../base/mail-address.ts'
import { Problem } from '../../base/problem.ts'
import { fitOneMail, readArmor } from '../../letter/armor.ts'
import { boxesDigest, writeForward } from '../../letter/forward-letter.ts'
import type { InviteHost } from '../../letter/invite.ts'
import type { ForwardLetter, Letter, TakenLetter } from '../../letter/letter-types.ts'
import { limits } from '../../letter/limits.ts'
import { openOneOf } from '../../letter/mail-text.ts'
import { isMailAddress, isMessageId } from '../../letter/text-validation.ts'
import type { FetchedMail } from '../../mail/mailbox.ts'
import { automaticKind, isReportLike } from '../../mail/mime/automatic-mail.ts'
import { parseMail, type ReadMail } from '../../mail/mime/parse-mail.ts'
import { type Forward, ForwardedLetters, type SenderHash } from '../../store/forwarded-letters.ts'
import type { HostDatabase } from '../../store/host-database.ts'
import type { Outbox } from '../../store/outbox.ts'
import type { SeenLetters } from '../../store/seen-letters.ts'
import type { UnreachableAddresses } from '../../store/unreachable-addresses.ts'
import type { HostContext } from '../context.ts'
import type { DropReason } from '../events.ts'
import { tryDatabase } from '../host-problems.ts'
import { pendingBounce, readBounce } from '../inbox/bounced-mail.ts'
import type { MailHandler, PendingLetter } from '../inbox/mail-handler.ts'
import { isAuthentic, openingKeysOf } from '../inbox/parse-letter.ts'
import type { OutboxSender } from '../outbox/outbox-sender.ts'
import { repeats } from '../peer-hosts/host-letters.ts'
import { freezeText, letterHeadBetweenHosts } from '../requests/compose-letter.ts'
import type { SenderLimits } from '../requests/sender-rate-limits.ts'
import { LoadBalancer } from './load-balancer.ts'

/** Workers that are tried with one letter; its agent asks again by itself. */
const mostTries = 4
/** Letters sent again in one step, so that no new one waits behind them. */
const stepLetters = 32
/** A day without a letter, and a sender gets a worker anew. */
const rememberSendersMs = 24 * 3_600_000
const idBytes = 16

type RepresentativeOptions = {
  readonly workers: readonly InviteHost[]
  readonly database: HostDatabase
  readonly seen: SeenLetters
  readonly outbox: Outbox
  readonly unreachable: UnreachableAddresses
  readonly senderLimits: SenderLimits
  readonly outboxSender: OutboxSender
}

export class Representative implements MailHandler {
  readonly #context: HostContext
  readonly #options: RepresentativeOptions
  readonly #workers: ReadonlyMap<string, InviteHost>
  readonly #forwarded: ForwardedLetters
  readonly #balancer: LoadBalancer
  #cancelTimer: () => void = () => {}

  constructor(context: HostContext, options: RepresentativeOptions) {
    const { settings, clock } = context
    this.#context = context
    this.#options = options
    this.#workers = new Map(options.workers.map((worker) => [toHex(worker.identity), worker]))
    this.#forwarded = new ForwardedLetters(options.database, {
      senders: settings.forwardSenders,
      forwards: settings.forwardsWaiting,
    })
    this.#balancer = new LoadBalancer([...this.#workers.keys()], clock.now())
  }

  /** What was given back goes out again at once: it may have been killed just then. */
  start(): void {
    this.#reviewIn(0)
  }

  stop(): void {
    this.#cancelTimer()
  }

  room(): number {
    if (this.#workers.size === 0) return 0
    return Math.min(this.#forwarded.freeSlots, this.#options.outbox.freeSlots('forward'))
  }

  async read({ raw, parsed }: FetchedMail): Promise<PendingLetter> {
    if (raw === null) return dropped('too-big')
    const { header, content: read } = parsed ?? (await parseMail(raw, limits.mailBytes))
    if (automaticKind(header) !== null) {
      const bounce = isReportLike(header) ? readBounce(this.#context, raw) : null
      return bounce ? pendingBounce(this.#context, this.#options, bounce) : dropped('automatic')
    }
    if (!read.ok) return dropped(read.refusal)
    const { self, crypto } = this.#context
    const { mail } = read
    if (sameAddress(mail.from, self.address)) return dropped('automatic')
    if (!isAuthentic(this.#context, header, mail.from)) return dropped('unauthenticated')
    const armored = readArmor(crypto, mail.text)
    if (!armored.ok) return dropped(armored.refusal)
    const opened = openOneOf(crypto, armored.boxes, openingKeysOf(self))
    if (opened.ok) return this.#pendingOwn(opened.letter)
    if (opened.refusal !== 'wrong-key') return dropped(opened.refusal)
    return this.#pendingForeign(mail, armored.boxes)
  }

  /** A letter to the representative itself: only its workers have something to tell it. */
  #pendingOwn(letter: Letter): PendingLetter {
    return {
      kind: letter.kind,
      settle: () => {
        if (!this.#workers.has(toHex(letter.from))) return 'unknown-host'
        return letter.kind === 'taken' ? this.#takeReport(letter) : 'unexpected-kind'
      },
    }
  }

  #takeReport(letter: TakenLetter): DropReason | null {
    const { clock } = this.#context
    const again = repeats(this.#context, this.#options.seen, letter, clock.wallNow())
    if (again !== null) return again
    this.#balancer.noteSignOfLife(clock.now(), toHex(letter.from))
    for (const id of idsIn(letter.ids)) this.#forwarded.drop(id)
    const { wanted } = letter
    if (!wanted) return null
    for (const id of idsIn(wanted)) this.#forwarded.requeue(id, letter.from)
    this.#reviewIn(0)
    return null
  }

  #pendingForeign(mail: ReadMail, boxes: readonly Uint8Array[]): PendingLetter {
    if (!fitOneMail(boxes.map(({ length }) => length))) return dropped('too-big')
    // What they cannot have sealed to us themselves would go round.
    if (!isMailAddress(mail.from) || this.#isWorker(mail.from)) return dropped('bad-mail')
    if (mail.date !== null && (mail.date < 0 || mail.date > limits.instantMs)) return dropped('stale')
    return { kind: 'forward', settle: () => this.#takeForeign(mail, boxes) }
  }

  /** Whoever wrote it, and whatever is in it: that is for the worker to see. */
  #takeForeign(mail: ReadMail, boxes: readonly Uint8Array[]): DropReason | null {
    const { crypto, clock } = this.#context
    const { seen, senderLimits } = this.#options
    const wallNow = clock.wallNow()
    const sender = this.#senderOf(mail.from)
    const digest = boxesDigest(crypto, boxes).slice(0, idBytes)
    if (seen.has(sender, digest)) return 'copy'
    if (senderLimits.take(clock.now(), { key: sender, address: mail.from }) !== null) return 'too-often'
    seen.remember(sender, digest, wallNow)
    this.#send({
      id: crypto.randomBytes(idBytes),
      sender,
      mailFrom: mail.from,
      mailDate: mail.date,
      mailId: mail.messageId !== null && isMessageId(mail.messageId) ? mail.messageId : null,
      boxes,
    })
    return null
  }

  /** Keyed, so that who writes cannot be read or guessed from the database. Without regard to case. */
  #senderOf(address: string): SenderHash {
    const { crypto, self } = this.#context
    return crypto.hash(utf8(address.toLowerCase()), 16, self.bounceTokenKey)
  }

  #isWorker(address: string): boolean {
    return [...this.#workers.values()].some((worker) => sameAddress(worker.address, address))
  }

  #send(forward: Omit<Forward, 'worker' | 'tries'>): void {
    const { clock, crypto, self } = this.#context
    const { sender, boxes, mailFrom, mailDate, mailId, id } = forward
    const wallNow = clock.wallNow()
    const had = this.#forwarded.workerOf(sender)
    const chosen = this.#balancer.choose(clock.now(), had && toHex(had), this.#isReachable)
    const worker = chosen === null ? undefined : this.#workers.get(chosen)
    if (chosen === null || !worker)
      throw new Problem('internal', 'There is no worker.', 'Please report this.')
    const letter: ForwardLetter = {
      ...letterHeadBetweenHosts(this.#context, worker.identity),
      kind: 'forward',
      id,
      mailFrom,
      boxes: boxesDigest(crypto, boxes),
      ...(mailDate !== null && { mailDate }),
      ...(mailId !== null && { messageId: mailId }),
    }
    const keys = { identity: self.identity, recipientKey: worker.sealingKey }
    const frozen = freezeText(
      this.#context,
      letter,
      writeForward(crypto, letter, boxes, keys),
      worker.address,
    )
    this.#options.outbox.add(frozen, wallNow)
    this.#forwarded.put({ ...forward, worker: worker.identity }, frozen.messageId, wallNow)
    this.#forwarded.assign(sender, worker.identity, wallNow)
    this.#balancer.noteLetter(clock.now(), chosen)
  }

  /** Whether mail to this worker has not come back lately. */
  readonly #isReachable = (id: string): boolean => {
    const worker = this.#workers.get(id)
    const now = this.#context.clock.wallNow()
    return worker !== undefined && !this.#options.unreachable.has(worker.address, now)
  }

  #reviewIn(delayMs: number): void {
    this.#cancelTimer()
    const { clock, settings } = this.#context
    this.#cancelTimer = clock.after(Math.max(1, delayMs), () => {
      const isMore = this.#review()
      this.#reviewIn(isMore ? 50 : settings.forwardSilenceMs / 4)
    })
  }

  /** Whether there is more to do. */
  #review(): boolean {
    const { database, outboxSender } = this.#options
    const again =
      tryDatabase(this.#context, database, () => database.transaction(() => this.#sendAgain())) ?? 0
    if (again > 0) outboxSender.pump()
    return again >= stepLetters
  }

  /** What waited too long for a living worker, and all that a dead one has while another lives. While all are dead nothing
   *  is: the letters lie in their mailboxes. */
  #sendAgain(): number {
    const { clock, settings } = this.#context
    const wallNow = clock.wallNow()
    this.#forwarded.clampFuture(wallNow)
    this.#forwarded.forgetSenders(wallNow - rememberSendersMs, stepLetters)
    let again = 0
    for (const [id, worker] of this.#workers) {
      const late = this.#forwarded.waiting(worker.identity, wallNow - settings.forwardSilenceMs, stepLetters)
      const isSilent =
        late.length > 0 && this.#balancer.noteSilence(clock.now(), id, settings.forwardSilenceMs)
      const isDead = isSilent || !this.#isReachable(id)
      if (isDead && !this.#balancer.hasLiving(this.#isReachable)) continue
      for (const forward of isDead ? this.#forwarded.waiting(worker.identity, wallNow, stepLetters) : late) {
        if (again >= stepLetters || this.#options.outbox.freeSlots('forward') === 0) return again
        if (forward.tries >= mostTries) this.#forwarded.drop(forward.id)
        else this.#send(forward)
        again++
      }
    }
    return again
  }
}

function idsIn(joined: Uint8Array): readonly Uint8Array[] {
  return Array.from({ length: joined.length / idBytes }, (_, at) =>
    joined.slice(at * idBytes, (at + 1) * idBytes),
  )
}

function dropped(reason: DropReason): PendingLetter {
  return { kind: 'unknown', settle: () => reason }
}
