// Property tests draw the same cases every time, so that a red run is a change's fault; FAST_CHECK_SEED explores others.
import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env.FAST_CHECK_SEED ?? 2026) });
