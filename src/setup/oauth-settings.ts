// Builds the OAuth 2.0 client from the settings, and reads and writes its tokens in secret files.

import { readSecret, replaceSecret } from '../config/secret-files.ts'
import type { AccessToken } from '../mail/auth/credentials.ts'
import { createTokenSource, type OAuthClient, oauthEndpoints } from '../mail/auth/oauth-tokens.ts'
import { systemClock } from '../runtime/system-clock.ts'

/** `[mail.oauth]`. These settings override what is known about the provider. */
export type OAuthSettings = {
  readonly provider?: 'google' | 'microsoft' | undefined
  readonly client_id: string
  readonly client_secret_file?: string | undefined
  readonly refresh_token_file: string
  readonly token_url?: string | undefined
  readonly authorize_url?: string | undefined
  readonly device_url?: string | undefined
  readonly scope?: string | undefined
}

type Path = (text: string) => string

export function oauthClient(settings: OAuthSettings, path: Path): OAuthClient {
  const { provider, client_secret_file: secretFile } = settings
  const known = provider === undefined ? null : oauthEndpoints[provider]
  return {
    endpoints: {
      tokenUrl: settings.token_url ?? known?.tokenUrl ?? '',
      authorizeUrl: settings.authorize_url ?? known?.authorizeUrl ?? null,
      deviceUrl: settings.device_url ?? known?.deviceUrl ?? null,
      scope: settings.scope ?? known?.scope ?? '',
    },
    clientId: settings.client_id,
    clientSecret: secretFile === undefined ? null : readSecret(path(secretFile), 'The client secret'),
  }
}

export function accessTokens(settings: OAuthSettings, path: Path): AccessToken {
  const file = path(settings.refresh_token_file)
  return createTokenSource({
    clock: systemClock,
    client: oauthClient(settings, path),
    readRefreshToken: () =>
      readSecret(file, 'The login to the mail provider', 'Run `peerpost login --config FILE`.'),
    saveRefreshToken: (token) => replaceSecret(file, token),
  })
}
