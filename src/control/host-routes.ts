// What the control API of a host can be asked for.

import type { HostControl } from './host-control.ts'
import { hostStatusSchema } from './host-schemas.ts'
import { officeRoutes } from './office-routes.ts'
import { probeRoutes } from './probe-routes.ts'
import type { Route } from './routes.ts'

export function hostRoutes(control: HostControl): readonly Route[] {
  return [
    {
      ...{ method: 'GET', path: '/v1/status', need: 'any-caller', answer: hostStatusSchema },
      summary: 'How the host is: mailbox, table, letters, mails.',
      faults: { database: 503 },
      handle: () => control.status(),
    },
    ...officeRoutes(control),
    ...probeRoutes(control),
  ]
}
