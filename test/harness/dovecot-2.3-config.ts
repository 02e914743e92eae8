// Dovecot's configuration for tests, in the syntax of 2.3 (Debian 12).

import { dovecotServices } from './dovecot-services.ts'
import { type MailServersPlan, mailOwnerId } from './mail-servers-config.ts'

/** File contents by file name. */
export function dovecot23Config(plan: MailServersPlan): Readonly<Record<string, string>> {
  return {
    'dovecot.conf': mainConfig(plan),
    ...(plan.tokenInfoUrl !== '' && { 'dovecot-oauth2.conf': oauthConfig(plan) }),
  }
}

function mainConfig(plan: MailServersPlan): string {
  const { folder, listen, smtpPort, password, imapCapability } = plan
  const { sieve, quotaBytes, tls, tokenInfoUrl } = plan
  return `base_dir = ${folder}/dovecot
state_dir = ${folder}/dovecot-state
log_path = ${folder}/dovecot.log
protocols = imap pop3 lmtp
listen = ${listen}
${
  tls
    ? `ssl = yes
ssl_cert = <${folder}/tls.crt
ssl_key = <${folder}/tls.key`
    : 'ssl = no'
}
disable_plaintext_auth = no
auth_mechanisms = plain login${tokenInfoUrl === '' ? '' : ' xoauth2 oauthbearer'}
auth_failure_delay = 0
imap_capability = ${imapCapability}
mail_location = maildir:${folder}/mail/%n
first_valid_uid = 1
first_valid_gid = 1
mail_max_userip_connections = 100
default_process_limit = 60
${tokenInfoUrl === '' ? '' : oauthPassdb(folder)}passdb {
  driver = static
  mechanisms = plain login
  args = password=${password}
}
userdb {
  driver = static
  args = uid=${mailOwnerId} gid=${mailOwnerId} home=${folder}/home/%n allow_all_users=yes
}
${dovecotServices(plan)}${quotaBytes === 0 ? '' : quotaConfig(quotaBytes)}${sieve === '' ? '' : sieveConfig(folder, `${listen}:${smtpPort}`)}`
}

/** Sends a vacation notice by SMTP for every mail. */
function sieveConfig(folder: string, submissionHost: string): string {
  return `submission_host = ${submissionHost}
protocol lmtp {
  mail_plugins = sieve
}
plugin {
  sieve_before = ${folder}/sieve/before.sieve
  sieve_extensions = +vacation-seconds
  sieve_vacation_min_period = 0
}
`
}

function quotaConfig(bytes: number): string {
  return `mail_plugins = quota
protocol imap {
  mail_plugins = quota imap_quota
}
plugin {
  quota = maildir:User quota
  quota_rule = *:bytes=${bytes}
}
`
}

function oauthPassdb(folder: string): string {
  return `passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = ${folder}/dovecot-oauth2.conf
}
`
}

function oauthConfig({ tokenInfoUrl }: MailServersPlan): string {
  return `introspection_mode = get
introspection_url = ${tokenInfoUrl}
username_attribute = email
active_attribute = active
active_value = true
`
}
