// Small things that mail tests share: a mail in a line, and waiting for a mailbox to say something.

import type { FetchedMail, Mailbox, MailboxState } from '../../src/mail/mailbox.ts'

export const testSubject = 'data for network game client'

export type TestMail = {
  readonly from?: string
  readonly to: string
  readonly subject?: string
  readonly text?: string
  /** More header lines, each ended by CRLF. */
  readonly headers?: string
}

export function rawMail({
  from = 'alice@mail.test',
  to,
  subject = testSubject,
  text = '',
  headers = '',
}: TestMail) {
  const head = `From: ${from}\r\nTo: ${to}\r\nSubject: ${subject}\r\n${headers}`
  return new Uint8Array(Buffer.from(`${head}\r\n${text}\r\n`))
}

export function textOf(mail: FetchedMail | undefined): string {
  return mail?.raw ? Buffer.from(mail.raw).toString() : ''
}

export type Watched = {
  readonly states: MailboxState[]
  /** Resolves when the mailbox says something that was not waited for before. */
  nextWake(): Promise<void>
  nextState(state: MailboxState['state']): Promise<MailboxState>
}

/** Records what a mailbox says; every `next…` sees each event once. Call before `open`. */
export function watchMailbox(mailbox: Mailbox): Watched {
  const states: MailboxState[] = []
  let wakes = 0
  let statesSeen = 0
  let changed = Promise.withResolvers<void>()
  const tell = () => {
    changed.resolve()
    changed = Promise.withResolvers<void>()
  }
  const open = mailbox.open.bind(mailbox)
  mailbox.open = (handlers) =>
    open({
      ...handlers,
      onWake: () => {
        wakes++
        tell()
      },
      onState: (state) => {
        states.push(state)
        tell()
      },
    })
  return {
    states,
    async nextWake() {
      while (wakes === 0) await changed.promise
      wakes = 0
    },
    async nextState(wanted) {
      for (;;) {
        const state = states[statesSeen]
        if (!state) await changed.promise
        else {
          statesSeen++
          if (state.state === wanted) return state
        }
      }
    },
  }
}

/** Fetches again at every wake-up until this many have come. */
export async function fetchUntil(mailbox: Mailbox, watched: Watched, count: number) {
  for (;;) {
    const mails = await mailbox.fetch(count)
    if (mails.length >= count) return mails
    await watched.nextWake()
  }
}
