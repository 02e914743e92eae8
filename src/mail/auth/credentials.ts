// What a mailbox or sender logs in with, asked for before each connection: a password that stays, or an OAuth 2.0 access
// token that is renewed in time.

import { Problem } from '../../base/problem.ts'
import { serverName } from '../mail-url.ts'

export type Credentials =
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  | { readonly kind: 'token'; readonly user: string; readonly token: string }

/** Rejects with a Problem when there is nothing to log in with. `renew`: the last token was refused. */
export type Login = (renew?: boolean) => Promise<Credentials>

/** A current access token; `renew` when the server refused the last one. */
export type AccessToken = (renew?: boolean) => Promise<string>

type Place = {
  readonly host: string
  readonly port: number
  readonly user: string | null
  readonly password: string | null
}

/** Throws a Problem `config` when the URL names no user or nothing gives a password. */
export function loginOf(what: 'IMAP' | 'POP3', url: Place, token?: AccessToken): Login {
  const { user, password } = url
  if (user === null) {
    const message = `There is no user name for the ${what} server ${serverName(url)}.`
    throw new Problem('config', message, 'Put it in the URL.')
  }
  if (token) return async (renew) => ({ kind: 'token', user, token: await token(renew) })
  if (password !== null) return () => Promise.resolve({ kind: 'password', user, password })
  throw new Problem(
    'config',
    `There is no password for the ${what} server ${serverName(url)}.`,
    'Put it in the URL or in the secret file the configuration names.',
  )
}

/** Connects with what there is to log in with; a token that is refused is renewed once, for it may have been withdrawn
 *  before its time. */
export async function connectWith<T>(
  login: Login,
  connect: (credentials: Credentials) => Promise<T>,
): Promise<T> {
  const credentials = await login()
  try {
    return await connect(credentials)
  } catch (error) {
    const isRefused = error instanceof Problem && error.code === 'mail-login'
    if (credentials.kind !== 'token' || !isRefused) throw error
    return connect(await login(true))
  }
}
