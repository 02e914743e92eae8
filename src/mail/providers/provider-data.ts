// What is known of mail providers: their servers, how they let programs in, and the limits they have published. Facts
// only; what nobody has published is left out. Those of Outlook, GMX, WEB.DE, iCloud, T-Online and Yandex were compared
// with Mozilla's ISP database in November 2026.

import type { ServerPlace } from '../server-errors.ts'

/** `whole`: the mail address is the user name. `local`: what stands before the @. */
type UserForm = 'whole' | 'local'

export type ProviderServer = Omit<ServerPlace, 'user'> & {
  /** `offered` is STARTTLS. */
  readonly tls: 'always' | 'offered'
  readonly user: UserForm
}

export type ProviderLogin =
  /** The mailbox's own password. */
  | { readonly kind: 'password'; readonly note?: string }
  /** One made for a mail program at `link`; the password of the web page is refused. */
  | { readonly kind: 'app-password'; readonly link: string; readonly note?: string }
  /** No password at all, only OAuth 2.0. */
  | { readonly kind: 'oauth' }

export type ProviderOAuth = 'google' | 'microsoft'

export type Provider = {
  readonly name: string
  readonly domains: readonly string[]
  readonly imap: ProviderServer
  readonly pop3?: ProviderServer
  readonly smtp: ProviderServer
  readonly login: ProviderLogin
  /** Offered beside the login, or instead of it. */
  readonly oauth?: ProviderOAuth
  /** Mails, or recipients where these are counted, in 24 hours, of an account that costs nothing. */
  readonly sendsADay?: number
  /** At the same time, of one account. */
  readonly imapConnections?: number
  /** POP3 logins more often than this are refused. */
  readonly pop3PollMs?: number
}

const tls = (host: string, port: number, user: UserForm = 'whole'): ProviderServer => ({
  ...{ host, port, tls: 'always', user },
})
const startTls = (host: string, port: number, user: UserForm = 'whole'): ProviderServer => ({
  ...{ host, port, tls: 'offered', user },
})
const imaps = (host: string, user?: UserForm) => tls(host, 993, user)
const pop3s = (host: string, user?: UserForm) => tls(host, 995, user)
const smtps = (host: string, user?: UserForm) => tls(host, 465, user)

const switchOn = 'Access by IMAP and POP3 has to be switched on once in the settings of the web page.'
const authorizationCode =
  'It is called authorization code (授权码) there; IMAP has to be switched on as well.'

/** Country editions of one provider. */
const editions = (names: readonly string[], ends: readonly string[]) =>
  names.flatMap((name) => ends.map((end) => `${name}.${end}`))

const microsoftDomains = [
  ...['outlook.com', 'hotmail.com', 'live.com', 'msn.com', 'windowslive.com', 'passport.com'],
  ...editions(['outlook'], 'at be cl cz de dk es fr hu ie in it jp kr lv my ph pt sa sg sk'.split(' ')),
  ...editions(['outlook'], 'co.id co.il co.th com.ar com.au com.br com.gr com.tr com.vn'.split(' ')),
  ...editions(['hotmail'], 'be ca cl cz de dk es fi fr gr hu it lt lv my nl no ph rs se sg sk'.split(' ')),
  ...editions(['hotmail'], 'co.id co.il co.in co.jp co.kr co.th co.uk co.za'.split(' ')),
  ...editions(['hotmail'], 'com.ar com.au com.br com.hk com.tr com.tw com.vn'.split(' ')),
  ...editions(['live'], 'at be ca cn de dk fi fr hk ie in it jp nl no ru se'.split(' ')),
  ...editions(
    ['live'],
    'co.jp co.kr co.uk co.za com.ar com.au com.mx com.my com.ph com.pt com.sg'.split(' '),
  ),
]

export const providers: readonly Provider[] = [
  {
    name: 'Gmail',
    domains: ['gmail.com', 'googlemail.com'],
    imap: imaps('imap.gmail.com'),
    pop3: pop3s('pop.gmail.com'),
    smtp: smtps('smtp.gmail.com'),
    login: {
      kind: 'app-password',
      link: 'https://myaccount.google.com/apppasswords',
      note: 'Two-step verification has to be on.',
    },
    oauth: 'google',
    sendsADay: 500,
    imapConnections: 15,
  },
  {
    name: 'Outlook.com',
    domains: microsoftDomains,
    imap: imaps('outlook.office365.com'),
    pop3: pop3s('outlook.office365.com'),
    smtp: startTls('smtp-mail.outlook.com', 587),
    login: { kind: 'oauth' },
    oauth: 'microsoft',
  },
  {
    name: 'Yahoo',
    domains: [
      ...['yahoo.com', 'ymail.com', 'rocketmail.com', 'myyahoo.com'],
      ...editions(['yahoo'], 'ca de es fr gr ie in it no pl ro se'.split(' ')),
      ...editions(['yahoo'], 'co.id co.in co.nz co.uk co.za com.ar com.au com.br com.hk com.mx'.split(' ')),
      ...editions(['yahoo'], 'com.my com.ph com.sg com.tr com.tw com.vn'.split(' ')),
    ],
    imap: imaps('imap.mail.yahoo.com'),
    pop3: pop3s('pop.mail.yahoo.com'),
    smtp: smtps('smtp.mail.yahoo.com'),
    login: { kind: 'app-password', link: 'https://login.yahoo.com/account/security' },
    sendsADay: 500,
  },
  {
    name: 'AOL',
    domains: ['aol.com', 'aim.com', 'aol.de', 'aol.fr', 'aol.co.uk'],
    imap: imaps('imap.aol.com'),
    pop3: pop3s('pop.aol.com'),
    smtp: smtps('smtp.aol.com'),
    login: { kind: 'app-password', link: 'https://login.aol.com/account/security' },
    sendsADay: 500,
  },
  {
    name: 'iCloud',
    domains: ['icloud.com', 'me.com', 'mac.com'],
    imap: imaps('imap.mail.me.com', 'local'),
    smtp: startTls('smtp.mail.me.com', 587),
    login: { kind: 'app-password', link: 'https://account.apple.com' },
    sendsADay: 1000,
  },
  {
    name: 'GMX',
    domains: ['gmx.net', 'gmx.de', 'gmx.at', 'gmx.ch', 'gmx.eu', 'gmx.biz', 'gmx.org', 'gmx.info'],
    imap: imaps('imap.gmx.net'),
    pop3: pop3s('pop.gmx.net'),
    smtp: smtps('mail.gmx.net'),
    login: { kind: 'password', note: switchOn },
  },
  {
    name: 'GMX',
    domains: ['gmx.com', 'gmx.us', 'gmx.co.uk', 'gmx.fr', 'gmx.es'],
    imap: imaps('imap.gmx.com'),
    pop3: pop3s('pop.gmx.com'),
    smtp: smtps('mail.gmx.com'),
    login: { kind: 'password', note: switchOn },
  },
  {
    name: 'WEB.DE',
    domains: ['web.de', 'email.de'],
    imap: imaps('imap.web.de', 'local'),
    pop3: pop3s('pop3.web.de', 'local'),
    smtp: startTls('smtp.web.de', 587, 'local'),
    login: { kind: 'password', note: switchOn },
    pop3PollMs: 900_000,
  },
  {
    name: 'T-Online',
    domains: ['t-online.de', 'magenta.de'],
    imap: imaps('secureimap.t-online.de'),
    pop3: pop3s('securepop.t-online.de'),
    smtp: smtps('securesmtp.t-online.de'),
    login: {
      kind: 'app-password',
      link: 'https://www.telekom.de/hilfe/apps-dienste/e-mail/programme/passwort-verwalten',
      note: 'It is called E-Mail-Passwort there.',
    },
  },
  {
    name: 'Fastmail',
    domains: ['fastmail.com', 'fastmail.fm'],
    imap: imaps('imap.fastmail.com'),
    pop3: pop3s('pop.fastmail.com'),
    smtp: smtps('smtp.fastmail.com'),
    login: { kind: 'app-password', link: 'https://app.fastmail.com/settings/security' },
  },
  {
    name: 'mailbox.org',
    domains: ['mailbox.org'],
    imap: imaps('imap.mailbox.org'),
    pop3: pop3s('pop3.mailbox.org'),
    smtp: smtps('smtp.mailbox.org'),
    login: { kind: 'password', note: 'With two-factor login on, make a password for mail programs first.' },
  },
  {
    name: 'Posteo',
    domains: ['posteo.de', 'posteo.net', 'posteo.at', 'posteo.ch', 'posteo.eu', 'posteo.org', 'posteo.us'],
    imap: imaps('posteo.de'),
    pop3: pop3s('posteo.de'),
    smtp: smtps('posteo.de'),
    login: { kind: 'password' },
  },
  {
    name: 'Proton Mail Bridge',
    domains: ['proton.me', 'protonmail.com', 'protonmail.ch', 'pm.me'],
    imap: startTls('127.0.0.1', 1143),
    smtp: startTls('127.0.0.1', 1025),
    login: {
      kind: 'app-password',
      link: 'https://proton.me/mail/bridge',
      note: 'Proton Mail Bridge has to run on this computer; the password is the one the bridge shows.',
    },
  },
  {
    name: 'Zoho',
    domains: ['zoho.com', 'zohomail.com'],
    imap: imaps('imap.zoho.com'),
    pop3: pop3s('pop.zoho.com'),
    smtp: smtps('smtp.zoho.com'),
    login: { kind: 'password', note: `${switchOn} With two-factor login on, make an app password first.` },
  },
  {
    name: 'Zoho',
    domains: ['zoho.eu', 'zohomail.eu'],
    imap: imaps('imap.zoho.eu'),
    pop3: pop3s('pop.zoho.eu'),
    smtp: smtps('smtp.zoho.eu'),
    login: { kind: 'password', note: `${switchOn} With two-factor login on, make an app password first.` },
  },
  {
    name: 'Yandex',
    domains: ['yandex.ru', 'yandex.com', 'yandex.by', 'yandex.kz', 'yandex.ua', 'ya.ru', 'narod.ru'],
    imap: imaps('imap.yandex.com'),
    pop3: pop3s('pop.yandex.com'),
    smtp: smtps('smtp.yandex.com'),
    login: {
      kind: 'app-password',
      link: 'https://id.yandex.com/security/app-passwords',
      note: switchOn,
    },
    sendsADay: 500,
  },
  {
    name: 'Mail.ru',
    domains: ['mail.ru', 'inbox.ru', 'bk.ru', 'list.ru', 'internet.ru'],
    imap: imaps('imap.mail.ru'),
    pop3: pop3s('pop.mail.ru'),
    smtp: smtps('smtp.mail.ru'),
    login: { kind: 'app-password', link: 'https://account.mail.ru/user/2-step-auth/passwords' },
  },
  {
    name: 'Yahoo! JAPAN',
    domains: ['yahoo.co.jp', 'ymail.ne.jp'],
    imap: imaps('imap.mail.yahoo.co.jp', 'local'),
    pop3: pop3s('pop.mail.yahoo.co.jp', 'local'),
    smtp: smtps('smtp.mail.yahoo.co.jp', 'local'),
    login: { kind: 'password', note: switchOn },
  },
  ...['163.com', '126.com', 'yeah.net'].map(
    (domain): Provider => ({
      name: 'NetEase',
      domains: [domain],
      imap: imaps(`imap.${domain}`),
      pop3: pop3s(`pop.${domain}`),
      smtp: smtps(`smtp.${domain}`),
      login: { kind: 'app-password', link: `https://mail.${domain}`, note: authorizationCode },
    }),
  ),
  {
    name: 'QQ Mail',
    domains: ['qq.com', 'foxmail.com', 'vip.qq.com'],
    imap: imaps('imap.qq.com'),
    pop3: pop3s('pop.qq.com'),
    smtp: smtps('smtp.qq.com'),
    login: { kind: 'app-password', link: 'https://mail.qq.com', note: authorizationCode },
  },
]
