import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openCatalogue } from '../../../src/identity/open-catalogue.ts'
import { resolveRequest } from '../../../src/identity/resolve-request.ts'
import { directoryOf } from '../../fixtures/directory.ts'

const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: payments, namespace: shop }
spec: { selector: { app: payments }, ports: [{ port: 8080 }] }
`
const PAYMENTS = `
apis:
  - name: Payments
    version: 1.2.0
    context: /payments
    service: shop/payments
    operations: ['GET /invoices/{id}', 'POST /invoices']
`

async function open(overlay: string) {
  const directory = directoryOf({ 'service.yaml': SERVICE, 'overlay.txt': overlay })
  return openCatalogue([join(directory, 'service.yaml')], {
    overlay: join(directory, 'overlay.txt'),
  })
}

describe('an overlay', () => {
  it('declares an API that no object does', async () => {
    const { catalogue, problems } = await open(PAYMENTS)
    expect(problems).toEqual([])
    const asked = { leg: 'backend', method: 'GET', service: 'shop/payments', port: 8_080 } as const
    const found = resolveRequest(catalogue, { ...asked, path: '/payments/invoices/7' })
    expect(found).toMatchObject({
      api: { name: 'Payments', version: '1.2.0', context: '/payments', namespace: 'shop' },
      operation: { method: 'GET', template: '/invoices/{id}' },
    })
    const other = resolveRequest(catalogue, { ...asked, path: '/payments/refunds' })
    expect(other).toMatchObject({ operation: null })
  })

  it.each([
    { why: 'what is no YAML', text: 'apis: [], more: 1', says: 'Cannot read the overlay' },
    {
      why: 'a Service without namespace',
      text: PAYMENTS.replace('shop/', ''),
      says: 'apis.0.service: must be NAMESPACE/SERVICE',
    },
    {
      why: 'no method',
      text: PAYMENTS.replace('POST ', ''),
      says: 'apis.0.operations.1: must be a method and a template',
    },
    { why: 'an unknown key', text: `${PAYMENTS}    owner: me\n`, says: 'owner' },
  ])('is refused, with its place, for $why', async ({ text, says }) => {
    await expect(open(text)).rejects.toThrow(says)
  })
})
