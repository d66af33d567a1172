import { describe, expect, it } from 'vitest'
import { parseCec } from '../../services/cec-parser.ts'
import { textAt } from '../../services/json-object.ts'
import { need } from '../../services/need.ts'
import { actingCec, INERT_CEC } from './checkout.ts'

describe.skipIf(need('cec-parser').skip)('cec-parser', () => {
  it.each([
    { state: 'inert', cec: INERT_CEC },
    { state: 'acting', cec: actingCec() },
  ])('accepts our $state config whole', async ({ cec }) => {
    const parsed = await parseCec(cec)
    expect(parsed).toMatchObject({ accepted: true, dropped: [], warnings: [] })
    if (!parsed.accepted) return
    const { listeners, routes, clusters } = parsed.resources
    const names = [...listeners, ...routes, ...clusters].map((resource) => textAt(resource, 'name'))
    const own = 'shop/weir-checkout'
    expect(names).toEqual([`${own}/weir`, `${own}/weir`, `${own}/weir-backend`])
  })

  it('tells of the listener that an agent would leave out silently', async () => {
    const parsed = await parseCec(INERT_CEC.replace('use_remote_address', 'use_remote_addres'))
    expect(parsed).toMatchObject({
      accepted: true,
      resources: { listeners: [], routes: [{}], clusters: [{}] },
      dropped: [
        {
          index: 0,
          name: 'weir',
          typeUrl: 'type.googleapis.com/envoy.config.listener.v3.Listener',
          reason: expect.stringContaining('use_remote_addres'),
        },
      ],
      warnings: [{ msg: 'Ignoring invalid CiliumEnvoyConfig JSON' }],
    })
  })

  it.each([
    { what: 'a virtual host without domains', from: 'domains: ["*"]', to: 'domains: []' },
    { what: 'a port that is none', from: 'ports: [8080]', to: 'ports: [70000]' },
  ])('refuses $what', async ({ from, to }) => {
    const cec = INERT_CEC.replace(from, to)
    expect(cec).not.toBe(INERT_CEC)
    const parsed = await parseCec(cec)
    expect(parsed).toMatchObject({
      accepted: false,
      reason: expect.stringMatching(/domains|uint16/i),
    })
  })

  it('throws on what is no Envoy config', async () => {
    await expect(parseCec('kind: Pod')).rejects.toThrow(/"Pod"/)
  })
})
