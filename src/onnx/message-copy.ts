// Copies of protobuf messages that share what they do not change: a model of gigabytes is patched, not duplicated.

/** A message with other fields; fields that are not set are on the message's prototype, so a spread would lose them. */
export function shallowCopy<Message extends object>(message: Message, fields: Partial<Message>): Message {
  return Object.assign(Object.create(Object.getPrototypeOf(message)), message, fields);
}
