// `peerpost login`: logs an agent or a host in at a mail provider by OAuth 2.0, once, in the browser.

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
    const what = `${file} has no settings for OAuth 2.0.`
    throw new Problem('config', what, 'Add [mail.oauth] as docs/mailboxes.md shows, or use a password.')
  }
  const crypto = await loadSodium()
  const print = (event: string, fields: object, words: string) => {
    const at = new Date(systemClock.wallNow()).toISOString()
    process.stdout.write(json ? `${JSON.stringify({ event, at, ...fields })}\n` : `${words}\n`)
  }
  const login = logIn({
    clock: systemClock,
    client: oauthClient(oauth, path),
    randomBytes: crypto.randomBytes,
    address: config.address,
    limitMs,
    showPage: (url, code) => {
      const typed = code === null ? '' : ` and type the code ${paint('good', code)}`
      print('open', { url, ...(code === null ? {} : { code }) }, `Open ${url}${typed}`)
    },
  })
  const token = await Promise.race([login, stopped.then(() => null)])
  // Stopped. The login still has timers and an open port, and nothing to save.
  if (token === null) process.exit(0)
  const tokenFile = path(oauth.refresh_token_file)
  replaceSecret(tokenFile, token)
  print('done', {}, `${config.address} is logged in. The login is stored in ${tokenFile}.`)
}
