// Checks whether a daemon runs with the config, and reports its status.

import { type DaemonStatus, findStatus } from '../control-client.ts'
import { type Finding, fault, faultOf, ok, warning } from './findings.ts'

export async function checkDaemon(configFile: string): Promise<Finding> {
  try {
    const status = await findStatus(configFile)
    return status ? statusFinding(status) : ok('daemon', 'No daemon runs with this config now.')
  } catch (thrown) {
    return faultOf('daemon', thrown)
  }
}

function statusFinding(status: DaemonStatus): Finding {
  const { role, state, mailbox, trouble } = status
  if (mailbox?.state === 'disconnected') {
    return fault(
      'daemon',
      `The running ${role} has no connection to its mailbox: ${mailbox.reason ?? 'the reason is not known'}.`,
      'See the finding below about receiving mail.',
    )
  }
  if (trouble) return warning('daemon', `The running ${role} had trouble: ${trouble.message}`, trouble.remedy)
  return ok('daemon', `The ${role} of this config runs and is ${state}.`)
}
