// `peerpost init agent`: writes a key, the invite and a commented config.

import { join } from 'node:path'
import { Problem } from '../base/problem.ts'
import { agentTemplate } from '../config/config-templates.ts'
import { seedText } from '../config/secret-files.ts'
import { isNickname } from '../letter/text-validation.ts'
import { loadSodium } from '../runtime/sodium.ts'
import { inviteFrom } from '../setup/parse-invite.ts'
import { answer, askForMail, loginStep, type MailOptions } from './ask-mail-settings.ts'
import { makeFolder } from './make-folder.ts'

export type InitAgentOptions = MailOptions & { readonly invite?: string; readonly name?: string }

export async function initAgent(options: InitAgentOptions): Promise<void> {
  const crypto = await loadSodium()
  const { yes } = options
  const text = await answer(options.invite, 'invite', 'The invite you were sent?', 'peerpost1…', yes)
  const { invite, line } = inviteFrom(crypto, text, '--invite')
  const name = await answer(options.name, 'name', 'What shall the others call you?', 'anna', yes)
  if (!isNickname(name)) throw unfitNickname()
  const { secrets, ...mail } = await askForMail(options)
  const configFile = join(options.dir, 'agent.toml')
  makeFolder({
    dir: options.dir,
    configFile: 'agent.toml',
    config: agentTemplate({ ...mail, name }),
    secrets: [
      ...secrets,
      { file: 'identity.key', text: seedText(crypto.randomBytes(32)) },
      { file: 'invite.secret', text: line },
    ],
  })
  process.stdout.write(`An agent for the room ${invite.room.name} is ready in ${options.dir}.
Next:
${loginStep(mail, configFile)}  peerpost agent --config ${configFile}
`)
}

export function unfitNickname(): Problem {
  return new Problem(
    'usage',
    'This name is not valid.',
    'Use one line of at most 32 characters, such as anna.',
  )
}
