// What both `init` commands ask about mail, and how the answers become a config and secret files. Servers of common
// providers follow from the address; then only a password is asked for.

import { resolve } from 'node:path'
import { password as askHidden, isCancel, text } from '@clack/prompts'
import { Problem } from '../base/problem.ts'
import type { OAuthAnswers } from '../config/config-templates.ts'
import { isMailAddress } from '../letter/text-validation.ts'
import {
  formatMailUrl,
  type MailUrl,
  parseReceiveUrl,
  parseSendUrl,
  type ReceiveUrl,
  type SendUrl,
  withPassword,
} from '../mail/mail-url.ts'
import { loginAdvice, type Provider, providerOf, providerUrls } from '../mail/providers/provider-lookup.ts'

export type Asked = {
  readonly dir: string
  readonly address?: string
  readonly receive?: string
  readonly send?: string
  readonly passwordStdin?: boolean
  readonly oauthClient?: string
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
  readonly oauth: OAuthAnswers | null
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
  return typedBy(await text({ message: question, placeholder: example })).trim()
}

function typedBy(typed: string | symbol | undefined): string {
  if (isCancel(typed) || typeof typed !== 'string')
    throw new Problem('usage', 'Nothing was made.', 'Run it again any time.')
  return typed
}

export async function askForMail(options: Asked): Promise<MailAnswers> {
  const { yes } = options
  const address = await answer(options.address, 'address', 'Mail address?', 'meet@example.org', yes)
  if (!isMailAddress(address)) {
    throw new Problem('usage', `"${address}" is not a mail address.`, 'Write it like meet@example.org.')
  }
  const provider = providerOf(address)
  const usual = provider && providerUrls(provider, address)
  const receive =
    options.receive === undefined && usual
      ? usual.receive
      : parseReceiveUrl(
          await answer(options.receive, 'receive', 'Where is its mail read?', receiveExample, yes),
        )
  const send =
    options.send === undefined && usual
      ? usual.send
      : parseSendUrl(await answer(options.send, 'send', 'Where is mail sent?', sendExample, yes))
  const login = await askForLogin(options, provider, [receive, send])
  return { address, ...login }
}

const receiveExample = 'imaps://USER:PASSWORD@imap.example.org'
const sendExample = 'smtps://USER:PASSWORD@smtp.example.org'

type Login = Omit<MailAnswers, 'address'>

/** What lets us in at the two servers: what stands in their URLs, or one password for both, or OAuth 2.0. */
async function askForLogin(
  options: Asked,
  provider: Provider | null,
  [receive, send]: readonly [ReceiveUrl, SendUrl],
): Promise<Login> {
  const hasAll = !needsLogin(receive) && !needsLogin(send)
  if (hasAll || isLeftForLater(options)) return passwordLogin(receive, send)
  const advice = provider && loginAdvice(provider)
  if (advice !== null) process.stderr.write(`${advice}\n`)
  if (options.oauthClient !== undefined || provider?.login.kind === 'oauth') {
    return oauthLogin(options, provider, receive, send)
  }
  const password = await hidden(options, 'Password of the mailbox?')
  return passwordLogin(withPassword(receive, password), withPassword(send, password))
}

/** Somebody who gave both URLs and wants no questions puts a password file there later. */
function isLeftForLater({ receive, send, passwordStdin, oauthClient, yes }: Asked): boolean {
  const isGiven = receive !== undefined && send !== undefined
  return isGiven && !passwordStdin && oauthClient === undefined && (yes === true || !process.stdin.isTTY)
}

function needsLogin(url: MailUrl): boolean {
  return url.protocol !== 'maildir' && url.user !== null && url.password === null
}

function passwordLogin(receive: ReceiveUrl, send: SendUrl): Login {
  const receivePassword = passwordOf(receive)
  const sendPassword = passwordOf(send)
  return {
    receive: formatMailUrl(absolute(receive), { withPassword: false }),
    send: formatMailUrl(send, { withPassword: false }),
    secrets: [
      ...(receivePassword === null ? [] : [{ file: 'receive.password', text: receivePassword }]),
      ...(sendPassword === null ? [] : [{ file: 'send.password', text: sendPassword }]),
    ],
    receivePasswordFile: receivePassword === null ? null : 'receive.password',
    sendPasswordFile: sendPassword === null ? null : 'send.password',
    oauth: null,
  }
}

async function oauthLogin(
  options: Asked,
  provider: Provider | null,
  receive: ReceiveUrl,
  send: SendUrl,
): Promise<Login> {
  const kind = provider?.oauth
  if (kind === undefined) {
    const remedy = 'Use a password, or write [mail.oauth] into the config yourself (docs/mailboxes.md).'
    throw new Problem('usage', 'How to log in there by OAuth 2.0 is not known.', remedy)
  }
  const question = 'Client ID of your registered app? (docs/mailboxes.md tells how to get one)'
  const clientId = await answer(options.oauthClient, 'oauth-client', question, 'ID', options.yes)
  if (!/^[!-~]{1,500}$/.test(clientId)) {
    throw new Problem('usage', 'That is no client ID.', 'Copy it from the page of the provider.')
  }
  // Google's clients for desktop programs have one, though it protects nothing.
  const secret = kind === 'google' ? await hidden(options, 'Client secret of that app?') : null
  const login = passwordLogin(receive, send)
  return {
    ...login,
    secrets: [...login.secrets, ...(secret === null ? [] : [{ file: oauthSecretFile, text: secret }])],
    oauth: { provider: kind, clientId, secretFile: secret === null ? null : oauthSecretFile },
  }
}

const oauthSecretFile = 'oauth-client.secret'

/** Typed without being shown, or the first line of standard input with --password-stdin. */
async function hidden({ yes, passwordStdin }: Asked, question: string): Promise<string> {
  if (passwordStdin) return withoutBreaks((await firstLine()) ?? '')
  if (yes || !process.stdin.isTTY) {
    const remedy = 'Pipe it in with --password-stdin, or give it in --receive and --send.'
    throw new Problem('usage', 'There is no password.', remedy)
  }
  return withoutBreaks(typedBy(await askHidden({ message: question })))
}

/** A password is short; the rest of a pipe is not waited for. */
async function firstLine(): Promise<string | undefined> {
  let read = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    read += chunk
    if (read.includes('\n') || read.length > 4_096) break
  }
  return read.split(/\r?\n/)[0]
}

function withoutBreaks(password: string): string {
  if (password !== '' && !/[\r\n]/.test(password)) return password
  throw new Problem('usage', 'The password is empty or has a line break in it.', 'Give it without.')
}

function passwordOf(url: MailUrl): string | null {
  const password = url.protocol === 'maildir' ? null : url.password
  return password === null ? null : withoutBreaks(password)
}

/** The config file may lie in another folder than the one we are called from. */
function absolute<Url extends MailUrl>(url: Url): Url {
  return url.protocol === 'maildir' ? { ...url, folder: resolve(url.folder) } : url
}

/** The command that comes before the first start, or nothing. */
export function loginStep({ oauth }: Pick<MailAnswers, 'oauth'>, configFile: string): string {
  return oauth === null ? '' : `  peerpost login --config ${configFile}\n`
}
