// Turns an error of binding a port into a Problem: the reason and the remedy.

import { type Endpoint, formatEndpoint } from '../base/endpoint.ts'
import { messageOf, Problem } from '../base/problem.ts'

export function bindProblem(
  error: NodeJS.ErrnoException,
  protocol: 'UDP' | 'TCP',
  wanted: Endpoint,
): Problem {
  const place = `${protocol} ${formatEndpoint(wanted)}`
  const cause = { cause: error }
  switch (error.code) {
    case 'EADDRINUSE':
      return new Problem(
        'port-taken',
        `Another program already uses ${place}.`,
        'Stop it or choose another port.',
        cause,
      )
    case 'EACCES':
      return new Problem(
        'network',
        `This user may not open ${place}.`,
        'Choose a port from 1024 upwards.',
        cause,
      )
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
      return new Problem(
        'network',
        `This machine has no address ${wanted.address}.`,
        'Choose an address that `ip address` shows, or leave it out.',
        cause,
      )
    case 'EMFILE':
    case 'ENFILE':
      return new Problem(
        'network',
        `${place} could not be opened: too many files are open.`,
        'Raise the limit with `ulimit -n` or close other programs.',
        cause,
      )
    default:
      return new Problem(
        'network',
        `${place} could not be opened: ${messageOf(error)}.`,
        'Check the network settings.',
        cause,
      )
  }
}
