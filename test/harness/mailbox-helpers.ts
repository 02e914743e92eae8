// Helpers of mail tests: composes a mail, and waits for events of a mailbox.

import type { FetchedMail, Mailbox, MailboxState } from '../../src/mail/mailbox.ts'

export const testSubject = 'data for network game client'

export type TestMail = {
  readonly from?: string
  readonly to: string
  readonly subject?: string
  readonly text?: string
  /** Further header lines, each with CRLF at the end. */
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

export type WatchedMailbox = {
  readonly states: MailboxState[]
  /** Resolves at the next wake-up that was not waited for before. */
  nextWake(): Promise<void>
  nextState(state: MailboxState['state']): Promise<MailboxState>
}

/** Records a mailbox's events; each `next…` returns each event once. Call it before `open`. */
export function watchMailbox(mailbox: Mailbox): WatchedMailbox {
  const states: MailboxState[] = []
  let wakes = 0
  let statesSeen = 0
  let changed = Promise.withResolvers<void>()
  const wake = () => {
    changed.resolve()
    changed = Promise.withResolvers<void>()
  }
  const open = mailbox.open.bind(mailbox)
  mailbox.open = (handlers) =>
    open({
      ...handlers,
      onWake: () => {
        wakes++
        wake()
      },
      onState: (state) => {
        states.push(state)
        wake()
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

/** Fetches at every wake-up until so many mails are there. */
export async function fetchUntil(mailbox: Mailbox, watched: WatchedMailbox, count: number) {
  for (;;) {
    const mails = await mailbox.fetch(count)
    if (mails.length >= count) return mails
    await watched.nextWake()
  }
}
