// What the names in a file tell: which are paths of modules that people named, and which an exporter made up.

/** `head.scale` and `logit_scale` are names that people give; `onnx::Mul_12`, `/Constant_3` and `val_7` are exporters'. */
export const isModulePath = (name: string): boolean =>
  /^[A-Za-z]\w*(\.\w+)*$/.test(name) && !/^(val_|scalar|const|clone|lifted|onnx)/i.test(name);
