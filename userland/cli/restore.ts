/** Bringing what was applied here back into force. */
import { Store } from '../common/store.js';
import { reapply } from '../oneip/apply.js';
import type { Context } from './context.js';

export async function restoreOneIp(context: Context): Promise<void> {
  const store = Store.open();
  try {
    const { generation, draining } = await reapply(store, { endpoint: context.endpoint });
    if (generation !== null) context.note(`ONE-IP configuration ${generation} is in force again`);
    if (draining)
      context.note('this node drains, as before: it serves no new clients until "oneip undrain"');
  } finally {
    store.close();
  }
}
