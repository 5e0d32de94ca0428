// Distinguishes the names in a file that are paths of modules from those that an exporter made up.

/** Whether people gave a name, as `head.scale` and `logit_scale`, and not an exporter, as `onnx::Mul_12`, `/Constant_3`, `val_7`. */
export const isModulePath = (name: string): boolean =>
  /^[A-Za-z]\w*(\.\w+)*$/.test(name) && !/^(val_|scalar|const|clone|lifted|onnx)/i.test(name);
