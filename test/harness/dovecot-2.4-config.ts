// Dovecot's configuration for tests, in the syntax of 2.4 (Debian 13).

import { dovecotServices } from './dovecot-services.ts'
import { type MailServersPlan, mailOwnerId } from './mail-servers-config.ts'

/** File contents by file name. */
export function dovecot24Config(plan: MailServersPlan): Readonly<Record<string, string>> {
  return { 'dovecot.conf': mainConfig(plan) }
}

function mainConfig(plan: MailServersPlan): string {
  const { folder, listen, smtpPort, password, imapCapability } = plan
  const { sieve, quotaBytes, tls, tokenInfoUrl } = plan
  return `dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = ${folder}/dovecot
state_dir = ${folder}/dovecot-state
log_path = ${folder}/dovecot.log
protocols = imap pop3 lmtp
listen = ${listen}
${
  tls
    ? `ssl = yes
ssl_server_cert_file = ${folder}/tls.crt
ssl_server_key_file = ${folder}/tls.key`
    : 'ssl = no'
}
auth_allow_cleartext = yes
auth_mechanisms = plain login${tokenInfoUrl === '' ? '' : ' xoauth2 oauthbearer'}
auth_failure_delay = 0
${imapCapability === '' ? '' : `imap_capability = ${imapCapability}\n`}mail_driver = maildir
mail_path = ${folder}/mail/%{user | username}
first_valid_uid = 1
first_valid_gid = 1
mail_max_userip_connections = 100
default_process_limit = 60
${tokenInfoUrl === '' ? '' : oauthConfig(tokenInfoUrl)}passdb static {
  mechanisms_filter = plain login
  password = ${password}
}
userdb static {
  fields {
    uid = ${mailOwnerId}
    gid = ${mailOwnerId}
    home = ${folder}/home/%{user | username}
  }
  static_allow_all_users = yes
}
${dovecotServices(plan)}${quotaBytes === 0 ? '' : quotaConfig(quotaBytes)}${sieve === '' ? '' : sieveConfig(folder, `${listen}:${smtpPort}`)}`
}

/** Sends a vacation notice by SMTP for every mail. */
function sieveConfig(folder: string, submissionHost: string): string {
  return `submission_host = ${submissionHost}
protocol lmtp {
  mail_plugins {
    sieve = yes
  }
}
sieve_script before {
  type = before
  path = ${folder}/sieve/before.sieve
}
sieve_extensions {
  vacation-seconds = yes
}
sieve_vacation_min_period = 0
`
}

/** The last mail may exceed the quota by a tenth, as in 2.3. */
function quotaConfig(bytes: number): string {
  return `mail_plugins {
  quota = yes
}
protocol imap {
  mail_plugins {
    imap_quota = yes
  }
}
quota "User quota" {
  driver = maildir
  storage_size = ${bytes}
  storage_grace = ${Math.floor(bytes / 10)}
}
`
}

function oauthConfig(tokenInfoUrl: string): string {
  return `oauth2 {
  introspection_mode = get
  introspection_url = ${tokenInfoUrl}
  username_attribute = email
  active_attribute = active
  active_value = true
}
passdb oauth2 {
  mechanisms_filter = xoauth2 oauthbearer
}
`
}
