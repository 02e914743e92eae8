// The credentials for a connection of mailbox or sender: a fixed password, or an OAuth 2.0 access token, which is
// renewed.

import { Problem } from '../../base/problem.ts'
import { serverName } from '../mail-url.ts'

export type Credentials =
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  | { readonly kind: 'token'; readonly user: string; readonly token: string }

/** Rejects with a Problem if there are no credentials. `renew`: the server refused the last token. */
export type Login = (renew?: boolean) => Promise<Credentials>

/** Resolves with a valid access token. `renew`: the server refused the last one. */
export type AccessToken = (renew?: boolean) => Promise<string>

type ServerLogin = {
  readonly host: string
  readonly port: number
  readonly user: string | null
  readonly password: string | null
}

/** Throws a Problem `config` if there is no user name, or neither password nor token. */
export function loginOf(what: 'IMAP' | 'POP3', url: ServerLogin, token?: AccessToken): Login {
  const { user, password } = url
  if (user === null) {
    const message = `There is no user name for the ${what} server ${serverName(url)}.`
    throw new Problem('config', message, 'Put it into the URL.')
  }
  if (token) return async (renew) => ({ kind: 'token', user, token: await token(renew) })
  if (password !== null) return () => Promise.resolve({ kind: 'password', user, password })
  throw new Problem(
    'config',
    `There is no password for the ${what} server ${serverName(url)}.`,
    'Put it into the URL, or into the secret file that the config names.',
  )
}

/** Connects with the credentials. If the server refuses a token, renews it once, because it may have been revoked
 *  early. */
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
