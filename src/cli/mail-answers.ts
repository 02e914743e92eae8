// What both `init` commands ask about mail, and how the answers become a config and secret files.

import { resolve } from 'node:path'
import { isCancel, text } from '@clack/prompts'
import { Problem } from '../base/problem.ts'
import { isMailAddress } from '../letter/text-rules.ts'
import { formatMailUrl, type MailUrl, parseReceiveUrl, parseSendUrl } from '../mail/mail-url.ts'

export type Asked = {
  readonly dir: string
  readonly address?: string
  readonly receive?: string
  readonly send?: string
  readonly yes?: boolean
}

export type MailAnswers = {
  readonly address: string
  readonly receive: string
  readonly send: string
  /** File names and their content, for `writeSecret`. */
  readonly secrets: readonly { readonly file: string; readonly text: string }[]
  readonly receivePasswordFile: string | null
  readonly sendPasswordFile: string | null
}

/** The option, or what the person types; without a terminal, or with --yes, a missing option is a usage error. */
export async function answer(
  given: string | undefined,
  option: string,
  question: string,
  example: string,
  yes: boolean | undefined,
): Promise<string> {
  if (given !== undefined) return given
  if (yes || !process.stdin.isTTY) {
    throw new Problem('usage', `--${option} is missing.`, `Give it, for example --${option} ${example}`)
  }
  const typed = await text({ message: question, placeholder: example })
  if (isCancel(typed) || typed === undefined)
    throw new Problem('usage', 'Nothing was made.', 'Run it again any time.')
  return typed.trim()
}

export async function askForMail(options: Asked): Promise<MailAnswers> {
  const { yes } = options
  const address = await answer(options.address, 'address', 'Mail address?', 'meet@example.org', yes)
  if (!isMailAddress(address)) {
    throw new Problem('usage', `"${address}" is not a mail address.`, 'Write it like meet@example.org.')
  }
  const receive = parseReceiveUrl(
    await answer(
      options.receive,
      'receive',
      'Where is its mail read?',
      'imaps://USER:PASSWORD@imap.example.org',
      yes,
    ),
  )
  const send = parseSendUrl(
    await answer(options.send, 'send', 'Where is mail sent?', 'smtps://USER:PASSWORD@smtp.example.org', yes),
  )
  const receivePassword = passwordOf(receive)
  const sendPassword = passwordOf(send)
  return {
    address,
    receive: formatMailUrl(absolute(receive), { withPassword: false }),
    send: formatMailUrl(send, { withPassword: false }),
    secrets: [
      ...(receivePassword === null ? [] : [{ file: 'receive.password', text: receivePassword }]),
      ...(sendPassword === null ? [] : [{ file: 'send.password', text: sendPassword }]),
    ],
    receivePasswordFile: receivePassword === null ? null : 'receive.password',
    sendPasswordFile: sendPassword === null ? null : 'send.password',
  }
}

function passwordOf(url: MailUrl): string | null {
  const password = url.protocol === 'maildir' ? null : url.password
  if (password !== null && /[\r\n]/.test(password)) {
    throw new Problem('usage', 'The password has a line break in it.', 'Give it without.')
  }
  return password
}

/** The config file may lie in another folder than the one we are called from. */
function absolute<Url extends MailUrl>(url: Url): Url {
  return url.protocol === 'maildir' ? { ...url, folder: resolve(url.folder) } : url
}
