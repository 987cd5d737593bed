// What can go wrong between an event and the people who should hear of it.
import { EtcdMedicError } from '../contract/errors.ts';

/**
 * Somebody may not have been told, or something of a run that died is not put in order. The same event can be sent
 * again.
 */
export class NotificationError extends EtcdMedicError {
  override readonly name = 'NotificationError';
}
