// One sender for several readers of a shared mailbox. Mail to their own address is handed over inside the program,
// and only mail to others is sent.

import { sameAddress } from '../../base/mail-address.ts'
import { composeMail, type MailToCompose } from '../mime/compose-mail.ts'
import type { MailSender, OutgoingMail, SendOutcome } from '../sender.ts'
import type { SharedMailbox } from './shared-mailbox.ts'

export class SharedSender {
  readonly #make: () => MailSender
  readonly #address: string
  readonly #mailbox: Pick<SharedMailbox, 'handOver'>
  readonly #views = new Set<SenderView>()
  #sender: MailSender | null = null

  /** `make`: creates a sender. Called again after all views were closed. `address`: the address of the mailbox. */
  constructor(make: () => MailSender, address: string, mailbox: Pick<SharedMailbox, 'handOver'>) {
    this.#make = make
    this.#address = address
    this.#mailbox = mailbox
  }

  view(): MailSender {
    const view = new SenderView(this)
    this.#views.add(view)
    return view
  }

  get sender(): MailSender {
    this.#sender ??= this.#make()
    return this.#sender
  }

  async send(mail: MailToCompose | OutgoingMail): Promise<SendOutcome> {
    const others = mail.to.filter((to) => !sameAddress(to, this.#address))
    if (others.length === mail.to.length) return this.sender.send(mail)
    const isHandedOver = this.#mailbox.handOver('raw' in mail ? mail.raw : await composeMail(mail.content))
    const again = isHandedOver ? [] : mail.to.filter((to) => sameAddress(to, this.#address))
    const reason = 'too many letters wait inside this program'
    if (others.length === 0) return isHandedOver ? { outcome: 'sent' } : { outcome: 'later', reason }
    const sent = await this.sender.send({ ...mail, to: others })
    switch (sent.outcome) {
      case 'sent':
        return isHandedOver ? sent : { outcome: 'partly', again, reason }
      case 'later':
        return isHandedOver ? { outcome: 'partly', again: others, reason: sent.reason } : sent
      case 'partly':
        return { ...sent, again: [...again, ...sent.again] }
      case 'refused':
        return { outcome: 'partly', again, reason: sent.reason }
    }
  }

  async close(view: SenderView): Promise<void> {
    if (!this.#views.delete(view) || this.#views.size > 0) return
    const sender = this.#sender
    this.#sender = null
    await sender?.close()
  }
}

class SenderView implements MailSender {
  readonly #shared: SharedSender

  constructor(shared: SharedSender) {
    this.#shared = shared
  }

  get concurrency(): number {
    return this.#shared.sender.concurrency
  }

  send(mail: MailToCompose | OutgoingMail): Promise<SendOutcome> {
    return this.#shared.send(mail)
  }

  verify(): Promise<void> {
    return this.#shared.sender.verify()
  }

  check(): void {
    this.#shared.sender.check?.()
  }

  close(): Promise<void> {
    return this.#shared.close(this)
  }
}
