/** Bounds of an inventory document: kept by the device that writes it and by the aggregator that takes it. */

/** Package names: Debian policy §5.6.1, with room for architectures (`libc6:i386`) and what opkg feeds carry. */
export const PACKAGE_PATTERN = /^[A-Za-z0-9][A-Za-z0-9+._:-]{0,127}$/;
/** Printable and without a blank; what it means is `compareVersions`' affair. */
export const VERSION_PATTERN = /^[!-~]{1,128}$/;
/** SHA-256 in hex. */
export const INVENTORY_HASH_PATTERN = /^[0-9a-f]{64}$/;
/** The most entries of each list in it; what is beyond is counted in `cut`. */
export const MOST_PARTS = 64;
/** Its size: it must pass a broker that takes packets of 256 KiB. */
export const MAX_INVENTORY_BYTES = 200_000;
