// Listens in place of systemd (sd_notify(3)) on a Unix datagram socket. Node has no such sockets; Perl does,
// and is part of every Debian.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const script = `
use Socket;
socket(my $socket, PF_UNIX, SOCK_DGRAM, 0) or die;
bind($socket, sockaddr_un($ARGV[0])) or die;
$| = 1;
print "listening\\n";
while (defined recv($socket, my $text, 4096, 0)) { $text =~ s/\\n/|/g; print "$text\\n"; }
`

export class NotifyListener {
  readonly path: string
  readonly #child: ChildProcess
  readonly heard: string[] = []
  #wake = () => {}

  private constructor(path: string) {
    this.path = path
    this.#child = spawn('perl', ['-e', script, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  }

  static async open(folder: string): Promise<NotifyListener> {
    const listener = new NotifyListener(join(folder, 'notify'))
    const { stdout } = listener.#child
    if (!stdout) throw new Error('perl has no output')
    createInterface({ input: stdout }).on('line', (line) => {
      // systemd-notify sends a barrier to wait until its message was received.
      if (line !== 'BARRIER=1') listener.heard.push(line)
      listener.#wake()
    })
    await listener.hears(/^listening$/)
    return listener
  }

  /** Resolves with the first message that matches. Drops it and all before it. */
  async hears(wanted: RegExp): Promise<string> {
    for (;;) {
      const index = this.heard.findIndex((line) => wanted.test(line))
      if (index >= 0) return this.heard.splice(0, index + 1).at(-1) ?? ''
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null) return
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
  }
}
