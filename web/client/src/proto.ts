// Messages and services as they are, for pages that call more than an upload needs.
export * from "./gen/coatcheck/v1/admin_service_pb.js";
export * from "./gen/coatcheck/v1/media_pb.js";
export * from "./gen/coatcheck/v1/media_service_pb.js";
export * from "./gen/coatcheck/v1/overview_pb.js";
export * from "./gen/coatcheck/v1/reconcile_pb.js";
export * from "./gen/coatcheck/v1/sweep_pb.js";
export * from "./gen/coatcheck/v1/upload_service_pb.js";
