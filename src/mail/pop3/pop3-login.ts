// Logging in to a POP3 server: by password in the way it offers, or by an OAuth 2.0 access token.

import type { Credentials } from '../auth/credentials.ts'
import type { Pop3Url } from '../mail-url.ts'
import { Pop3Refusal } from './pop3-errors.ts'
import type { Pop3Answer } from './pop3-response-parser.ts'

type Pop3Commands = {
  readonly capabilities: ReadonlyMap<string, string>
  command(line: string): Promise<Pop3Answer>
}

export async function loginPop3(commands: Pop3Commands, url: Pop3Url, login: Credentials): Promise<void> {
  if (login.kind === 'token') return loginByToken(commands, url, login.user, login.token)
  const { user, password } = login
  const { capabilities } = commands
  // USER is offered by nearly all; a server without CAPA knows nothing else.
  if (capabilities.size === 0 || capabilities.has('USER') || !mechanisms(commands).has('PLAIN')) {
    await step(commands, `USER ${user}`)
    await step(commands, `PASS ${password}`)
  } else {
    // RFC 4616; the initial response is RFC 5034's.
    await step(commands, `AUTH PLAIN ${base64(`\0${user}\0${password}`)}`)
  }
}

async function loginByToken(
  commands: Pop3Commands,
  { host, port }: Pop3Url,
  user: string,
  token: string,
): Promise<void> {
  // RFC 7628 where it is offered, else what Google and Microsoft made before.
  const bearer = mechanisms(commands).has('OAUTHBEARER')
  const words = bearer
    ? ['n,a=', user, ',\x01host=', host, '\x01port=', String(port), '\x01auth=Bearer ', token, '\x01\x01']
    : ['user=', user, '\x01auth=Bearer ', token, '\x01\x01']
  const name = bearer ? 'OAUTHBEARER' : 'XOAUTH2'
  const response = base64(words.join(''))
  // A token is longer than the 255 octets of a command line (RFC 5034 §4), and Microsoft insists on it.
  let answer = await commands.command(`AUTH ${name}`)
  if (answer.ok) answer = await commands.command(response)
  // Refused, a continuation tells why; it wants an empty answer before the refusal comes.
  if (answer.ok && isChallenge(answer.text)) answer = await commands.command(bearer ? 'AQ==' : '')
  if (!answer.ok) throw Pop3Refusal.atLogin(answer.text)
}

/** A challenge is base64 of JSON; a welcome is words. */
function isChallenge(text: string): boolean {
  return /^eyJ[A-Za-z0-9+/]+=*$/.test(text)
}

async function step(commands: Pop3Commands, line: string): Promise<void> {
  const answer = await commands.command(line)
  if (!answer.ok) throw Pop3Refusal.atLogin(answer.text)
}

function mechanisms({ capabilities }: Pop3Commands): ReadonlySet<string> {
  return new Set((capabilities.get('SASL') ?? '').toUpperCase().split(' '))
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64')
}
