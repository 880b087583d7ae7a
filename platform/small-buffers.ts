import { Buffer } from "node:buffer";

/**
 * To be the first import of every program that speaks MQTT, before anything that imports mqtt: mqtt-packet keeps one
 * small Buffer per distinct packet length for ever, and each pins the whole pool slab it was cut from. With the 64 KiB
 * slabs of Node 24 a thousand payload lengths cost 75 MB; with 1 KiB slabs 9 MB (docs/performance.md).
 */
Buffer.poolSize = 1024;
