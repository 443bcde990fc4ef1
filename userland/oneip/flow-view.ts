/** A flow as people and files have it. */
import { constantName } from '../common/struct.js';
import { type OneIpFlow, OneIpFlowState } from './codec.js';
import { type Names, type NodeRef, addressText, nodeName } from './names.js';

/** The protocols that have flows. */
export const FlowProtocol = { tcp: 6, udp: 17 } as const;

export interface FlowView {
  readonly client: string;
  readonly clientPort: number;
  readonly cluster: string;
  readonly clusterPort: number;
  readonly protocol: string;
  readonly state: string;
  /** Who serves it. */
  readonly node: NodeRef;
  /** Since its last frame. */
  readonly idleMs: number;
}

export function flowView(flow: OneIpFlow, names: Names): FlowView {
  const { family, clientPort, clusterPort, nodeId, idleMs } = flow;
  return {
    client: addressText({ family, address: flow.client }) ?? '',
    clientPort,
    cluster: addressText({ family, address: flow.cluster }) ?? '',
    clusterPort,
    protocol: constantName(FlowProtocol, flow.protocol),
    state: constantName(OneIpFlowState, flow.state),
    node: { id: nodeId, name: nodeName(nodeId, names) },
    idleMs,
  };
}
