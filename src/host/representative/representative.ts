// A representative host (A14). It forwards letters of agents, which it cannot open, evenly to its workers: letters of one agent
// always to the same worker. It sends a letter again when the worker does not confirm it.

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
import { checkReplay } from '../peer-hosts/replay-check.ts'
import { composeWithText, peerHostLetterHead } from '../requests/compose-letter.ts'
import type { SenderLimits } from '../requests/sender-rate-limits.ts'
import { LoadBalancer } from './load-balancer.ts'

/** The most attempts to forward one letter. Its agent then sends another request. */
const maxTries = 4
/** The most letters sent again in one step, so that new ones do not wait long. */
const stepLetters = 32
/** After a day without a letter, a sender may get another worker. */
const rememberSendersMs = 24 * 3_600_000
/** Pause between two steps while more letters are overdue. */
const busyPauseMs = 50
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

  /** Sends requeued letters at once: the last process may have been killed before it sent them. */
  start(): void {
    this.#reviewIn(0)
  }

  stop(): void {
    this.#cancelTimer()
  }

  freeSlots(): number {
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

  /** A letter to the representative itself. Only its workers send such letters. */
  #pendingOwn(letter: Letter): PendingLetter {
    return {
      kind: letter.kind,
      settle: () => {
        if (!this.#workers.has(toHex(letter.from))) return 'unknown-host'
        return letter.kind === 'taken' ? this.#handleReport(letter) : 'unexpected-kind'
      },
    }
  }

  /** A worker confirms letters that it took, and may ask for others. */
  #handleReport(letter: TakenLetter): DropReason | null {
    const { clock } = this.#context
    const replay = checkReplay(this.#context, this.#options.seen, letter, clock.wallNow())
    if (replay !== null) return replay
    this.#balancer.noteSignOfLife(clock.now(), toHex(letter.from))
    for (const id of idsIn(letter.ids)) this.#forwarded.drop(id)
    const { wanted } = letter
    if (!wanted) return null
    for (const id of idsIn(wanted)) this.#forwarded.requeue(id, letter.from)
    this.#reviewIn(0)
    return null
  }

  /** A letter that only workers can open. */
  #pendingForeign(mail: ReadMail, boxes: readonly Uint8Array[]): PendingLetter {
    if (!fitOneMail(boxes.map(({ length }) => length))) return dropped('too-big')
    // A worker seals its letters to us. Any other letter from its address would travel in a circle.
    if (!isMailAddress(mail.from) || this.#isWorker(mail.from)) return dropped('bad-mail')
    if (mail.date !== null && (mail.date < 0 || mail.date > limits.instantMs)) return dropped('stale')
    return { kind: 'forward', settle: () => this.#acceptForeign(mail, boxes) }
  }

  /** Accepts a letter without checking its writer or content. The worker checks them. */
  #acceptForeign(mail: ReadMail, boxes: readonly Uint8Array[]): DropReason | null {
    const { crypto, clock } = this.#context
    const { seen, senderLimits } = this.#options
    const wallNow = clock.wallNow()
    const sender = this.#senderOf(mail.from)
    const digest = boxesDigest(crypto, boxes).slice(0, idBytes)
    if (seen.has(sender, digest)) return 'copy'
    if (senderLimits.take(clock.now(), { key: sender, address: mail.from }) !== null) return 'too-often'
    seen.remember(sender, digest, wallNow)
    this.#enqueue({
      id: crypto.randomBytes(idBytes),
      sender,
      mailFrom: mail.from,
      mailDate: mail.date,
      mailId: mail.messageId !== null && isMessageId(mail.messageId) ? mail.messageId : null,
      boxes,
    })
    return null
  }

  /** A keyed hash, so that the database does not reveal senders. Ignores the case of the address. */
  #senderOf(address: string): SenderHash {
    const { crypto, self } = this.#context
    return crypto.hash(utf8(address.toLowerCase()), 16, self.bounceTokenKey)
  }

  #isWorker(address: string): boolean {
    return [...this.#workers.values()].some((worker) => sameAddress(worker.address, address))
  }

  #enqueue(forward: Omit<Forward, 'worker' | 'tries'>): void {
    const { clock, crypto, self } = this.#context
    const { sender, boxes, mailFrom, mailDate, mailId, id } = forward
    const wallNow = clock.wallNow()
    const previous = this.#forwarded.workerOf(sender)
    const chosen = this.#balancer.choose(clock.now(), previous && toHex(previous), this.#isReachable)
    const worker = chosen === null ? undefined : this.#workers.get(chosen)
    if (chosen === null || !worker)
      throw new Problem('internal', 'There is no worker.', 'Please report this.')
    const letter: ForwardLetter = {
      ...peerHostLetterHead(this.#context, worker.identity),
      kind: 'forward',
      id,
      mailFrom,
      boxes: boxesDigest(crypto, boxes),
      ...(mailDate !== null && { mailDate }),
      ...(mailId !== null && { messageId: mailId }),
    }
    const keys = { identity: self.identity, recipientKey: worker.sealingKey }
    const mail = composeWithText(
      this.#context,
      letter,
      writeForward(crypto, letter, boxes, keys),
      worker.address,
    )
    this.#options.outbox.add(mail, wallNow)
    this.#forwarded.put({ ...forward, worker: worker.identity }, mail.messageId, wallNow)
    this.#forwarded.assign(sender, worker.identity, wallNow)
    this.#balancer.noteLetter(clock.now(), chosen)
  }

  /** Whether no mail to this worker bounced lately. */
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
      this.#reviewIn(isMore ? busyPauseMs : settings.forwardSilenceMs / 4)
    })
  }

  /** Sends overdue letters again. Returns whether more are left. */
  #review(): boolean {
    const { database, outboxSender } = this.#options
    const handled =
      tryDatabase(this.#context, database, () => database.transaction(() => this.#enqueueOverdue())) ?? 0
    if (handled > 0) outboxSender.pump()
    return handled >= stepLetters
  }

  /** Enqueues letters again: the overdue ones of a live worker, and all letters of a dead one while another is alive. While
   *  all are dead it does nothing: the letters are already in their mailboxes. Returns how many letters it handled. */
  #enqueueOverdue(): number {
    const { clock, settings } = this.#context
    const wallNow = clock.wallNow()
    this.#forwarded.clampFuture(wallNow)
    this.#forwarded.forgetSenders(wallNow - rememberSendersMs, stepLetters)
    let handled = 0
    for (const [id, worker] of this.#workers) {
      const overdue = this.#forwarded.waiting(
        worker.identity,
        wallNow - settings.forwardSilenceMs,
        stepLetters,
      )
      const isSilent =
        overdue.length > 0 && this.#balancer.noteSilence(clock.now(), id, settings.forwardSilenceMs)
      const isDead = isSilent || !this.#isReachable(id)
      if (isDead && !this.#balancer.hasLiving(this.#isReachable)) continue
      for (const forward of isDead
        ? this.#forwarded.waiting(worker.identity, wallNow, stepLetters)
        : overdue) {
        if (handled >= stepLetters || this.#options.outbox.freeSlots('forward') === 0) return handled
        if (forward.tries >= maxTries) this.#forwarded.drop(forward.id)
        else this.#enqueue(forward)
        handled++
      }
    }
    return handled
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
