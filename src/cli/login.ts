// `peerpost login`: lets an agent or a host in at a mail provider that wants OAuth 2.0, once, in the browser.

import { Problem } from '../base/problem.ts'
import { loadConfig } from '../config/load-config.ts'
import { replaceSecret } from '../config/secret-files.ts'
import { logIn } from '../mail/auth/oauth-login.ts'
import { loadSodium } from '../runtime/sodium.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { oauthClient } from '../setup/oauth-settings.ts'
import { paint } from './output.ts'
import { untilStopped } from './shutdown.ts'

export type LoginCommandOptions = { readonly config: string; readonly json?: boolean }

const limitMs = 15 * 60_000

export async function runLogin({ config: file, json }: LoginCommandOptions): Promise<void> {
  const { stopped } = untilStopped()
  const { config, path } = loadConfig(file, process.env)
  const { oauth } = config.mail
  if (!oauth) {
    const what = `${file} says nothing of OAuth 2.0.`
    throw new Problem('config', what, 'Add [mail.oauth] as docs/mailboxes.md shows, or use a password.')
  }
  const crypto = await loadSodium()
  const tell = (event: string, fields: object, words: string) => {
    const at = new Date(systemClock.wallNow()).toISOString()
    process.stdout.write(json ? `${JSON.stringify({ event, at, ...fields })}\n` : `${words}\n`)
  }
  const login = logIn({
    ...{ clock: systemClock, client: oauthClient(oauth, path), randomBytes: crypto.randomBytes },
    ...{ address: config.address, limitMs },
    ask: (url, code) => {
      const typed = code === null ? '' : ` and type the code ${paint('good', code)}`
      tell('open', { url, ...(code === null ? {} : { code }) }, `Open ${url}${typed}`)
    },
  })
  const token = await Promise.race([login, stopped.then(() => null)])
  // Stopped: the login has timers and a port open, and nothing to lose.
  if (token === null) process.exit(0)
  const tokenFile = path(oauth.refresh_token_file)
  replaceSecret(tokenFile, token)
  tell('done', {}, `${config.address} is let in; the login is kept in ${tokenFile}.`)
}
