// The API described as OpenAPI 3.1, from the routes that serve it.

import { z } from 'zod'
import { faultSchema, type Route } from './route.ts'

type Json = { readonly [key: string]: unknown }

/** What any request may be answered. */
const usualFaults =
  '400 malformed, 401 no-token, 403 wrong-host or wrong-origin, 408 too-slow, 413 too-big, 429 too-many, ' +
  '431 too-long-headers, 500 internal'

export function describeApi(routes: readonly Route[]): Json {
  const paths: Record<string, Record<string, Json>> = {}
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'peerpost control API', version: '1', license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: 'http://127.0.0.1:{port}', variables: { port: { default: '0' } } }],
    security: [{ token: [] }],
    paths: { ...paths, '/v1/events': { get: eventsOperation } },
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: { fault: jsonSchemaOf(faultSchema) },
      responses: { fault: faultResponse(usualFaults) },
    },
  }
}

function operationOf(route: Route): Json {
  const { operationId, summary, need, params = {}, body, answer } = route
  return {
    operationId,
    summary,
    ...(need === 'open' && { security: [] }),
    ...(Object.keys(params).length > 0 && {
      parameters: Object.entries(params).map(([name, description]) => ({
        ...{ name, in: 'path', required: true, description },
        schema: { type: 'string' },
      })),
    }),
    ...(body && {
      requestBody: { required: true, content: { 'application/json': { schema: jsonSchemaOf(body) } } },
    }),
    responses: {
      200: { description: 'done', content: { [mediaTypeOf(answer)]: { schema: jsonSchemaOf(answer) } } },
      ...faultResponses(route),
    },
  }
}

function mediaTypeOf(answer: z.ZodType): string {
  return answer instanceof z.ZodString ? 'text/plain' : 'application/json'
}

function faultResponses({ faults = {}, body }: Route): Json {
  const own: Record<string, string[]> = body ? { 400: ['bad-body'] } : {}
  for (const [code, status] of Object.entries(faults)) own[status] = [...(own[status] ?? []), code]
  const responses = Object.entries(own).map(([status, codes]) => [status, faultResponse(codes.join(', '))])
  return { ...Object.fromEntries(responses), default: { $ref: '#/components/responses/fault' } }
}

function faultResponse(description: string): Json {
  return { description, content: { 'application/json': { schema: { $ref: '#/components/schemas/fault' } } } }
}

function jsonSchemaOf(schema: z.ZodType): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io: 'output',
    // What goes without saying: how a date is written, how large a number can be. More fields may come.
    override: ({ jsonSchema }) => {
      if (jsonSchema.format === 'date-time') delete jsonSchema.pattern
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
      delete jsonSchema.additionalProperties
    },
  })
  return rest
}

const eventsOperation: Json = {
  operationId: 'streamEvents',
  summary:
    'The events that --json prints, as server-sent events: those kept first (the latest 256 at most), then each as it comes.',
  parameters: [
    {
      ...{ name: 'Last-Event-ID', in: 'header', required: false, schema: { type: 'string' } },
      description: 'The id of the last event that was read; only later ones are sent.',
    },
    {
      ...{ name: 'after', in: 'query', required: false, schema: { type: 'string' } },
      description: 'The same, for those who cannot send the header.',
    },
    {
      ...{ name: 'words', in: 'query', required: false, schema: { type: 'string', enum: ['1'] } },
      description:
        'Adds "words": {"tone", "text"}, a sentence for a person without whole addresses, or null where there is none.',
    },
  ],
  responses: {
    200: {
      description:
        'Each event is one "data:" line of JSON with "event" and "at"; {"event": "missed", "count"} stands for events that were forgotten before they were read.',
      content: { 'text/event-stream': { schema: { type: 'string' } } },
    },
    429: faultResponse('too-many-streams'),
    default: { $ref: '#/components/responses/fault' },
  },
}
