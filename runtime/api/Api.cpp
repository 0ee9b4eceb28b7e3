//===- Api.cpp - the C API over the C++ inside ----------------------------===//
//
// The edge that no exception crosses: the runtime itself throws none, but the standard containers report a lack of
// memory that way.
//
//===----------------------------------------------------------------------===//

#include "runtime/session/Session.h"

#include <cstring>
#include <denim/denim.h>
#include <exception>
#include <new>

struct denim_status_payload_t {
  denim::Status status;
};
struct denim_device_t {
  std::shared_ptr<denim::Device> device;
};
struct denim_module_t {
  std::shared_ptr<const denim::Module> module;
};
struct denim_session_t {
  std::unique_ptr<denim::Session> session;
};

namespace {

using denim::Status;

// For when there is no memory left to describe it; never deleted.
denim_status_payload_t *outOfMemory() {
  static denim_status_payload_t payload{Status(DENIM_STATUS_RESOURCE_EXHAUSTED, "out of memory")};
  return &payload;
}
// Made while there is memory.
[[maybe_unused]] denim_status_payload_t *const madeEarly = outOfMemory();

template <typename Call> denim_status_t edge(const Call &call) {
  try {
    Status status = call();
    return status ? new denim_status_payload_t{std::move(status)} : DENIM_OK;
  } catch (const std::bad_alloc &) {
    return outOfMemory();
  } catch (const std::exception &exception) {
    try {
      return new denim_status_payload_t{Status(DENIM_STATUS_INTERNAL, exception.what())};
    } catch (...) {
      return outOfMemory();
    }
  }
}

Status null(const char *what) {
  return denim::invalidArgument("expected ", what, ", but got NULL");
}

/// Reads options of a caller that may know more or fewer members than this library: what is beyond either end keeps
/// its default.
template <typename Options> Status readOptions(const Options *given, Options &options) {
  if (!given)
    return {};
  if (given->struct_size < sizeof(size_t))
    return denim::invalidArgument("expected options that were initialized, but got struct_size ", given->struct_size);
  std::memcpy(&options, given, std::min(given->struct_size, sizeof options));
  return {};
}

} // namespace

extern "C" {

uint32_t denim_api_version(void) {
  return DENIM_API_VERSION;
}

denim_status_code_t denim_status_code(denim_status_t status) {
  return status ? status->status.code() : DENIM_STATUS_OK;
}

const char *denim_status_code_name(denim_status_code_t code) {
  switch (code) {
  case DENIM_STATUS_OK:
    return "OK";
  case DENIM_STATUS_INVALID_ARGUMENT:
    return "INVALID_ARGUMENT";
  case DENIM_STATUS_NOT_FOUND:
    return "NOT_FOUND";
  case DENIM_STATUS_DATA_LOSS:
    return "DATA_LOSS";
  case DENIM_STATUS_INCOMPATIBLE:
    return "INCOMPATIBLE";
  case DENIM_STATUS_RESOURCE_EXHAUSTED:
    return "RESOURCE_EXHAUSTED";
  case DENIM_STATUS_DEVICE_LOST:
    return "DEVICE_LOST";
  case DENIM_STATUS_INTERNAL:
    return "INTERNAL";
  }
  return "UNKNOWN";
}

const char *denim_status_message(denim_status_t status) {
  return status ? status->status.message().c_str() : "";
}

void denim_status_release(denim_status_t status) {
  if (status != outOfMemory())
    delete status;
}

void denim_device_options_initialize(denim_device_options_t *out_options) {
  *out_options = {sizeof(denim_device_options_t), "cpu", 0};
}

denim_status_t denim_device_create(const denim_device_options_t *options, denim_device_t **out_device) {
  return edge([&]() -> Status {
    denim_device_options_t read;
    denim_device_options_initialize(&read);
    if (!out_device)
      return null("out_device");
    if (Status status = readOptions(options, read))
      return status;
    if (!read.name)
      return null("the name of a device");
    if (read.threads < 0 || read.threads > 4096)
      return denim::invalidArgument("expected from 0 to 4096 threads, but got ", read.threads);
    std::shared_ptr<denim::Device> device;
    if (Status status = denim::createDevice(read.name, read.threads, device))
      return status;
    *out_device = new denim_device_t{std::move(device)};
    return {};
  });
}

void denim_device_release(denim_device_t *device) {
  delete device;
}

denim_status_t denim_module_open(const char *path, denim_module_t **out_module) {
  return edge([&]() -> Status {
    if (!path || !out_module)
      return null(path ? "out_module" : "path");
    std::shared_ptr<const denim::Module> module;
    if (Status status = denim::Module::open(path, module))
      return status;
    *out_module = new denim_module_t{std::move(module)};
    return {};
  });
}

void denim_module_release(denim_module_t *module) {
  delete module;
}

const char *denim_module_name(const denim_module_t *module) {
  return module->module->anyPlan().name.c_str();
}

int32_t denim_module_vocabulary(const denim_module_t *module) {
  return module->module->anyPlan().vocabulary;
}

size_t denim_module_eos_tokens(const denim_module_t *module, const int32_t **out_tokens) {
  *out_tokens = module->module->anyPlan().eosTokens.data();
  return module->module->anyPlan().eosTokens.size();
}

void denim_session_options_initialize(denim_session_options_t *out_options) {
  denim::SessionOptions defaults;
  *out_options = {sizeof(denim_session_options_t), nullptr, defaults.cacheBytes, defaults.maxStepTokens};
}

denim_status_t denim_session_create(denim_device_t *device, denim_module_t *module,
                                    const denim_session_options_t *options, denim_session_t **out_session) {
  return edge([&]() -> Status {
    if (!device || !module || !out_session)
      return null(!device ? "a device" : !module ? "a module" : "out_session");
    denim_session_options_t read;
    denim_session_options_initialize(&read);
    if (Status status = readOptions(options, read))
      return status;
    if (!read.weights)
      return null("weights");
    denim::SessionOptions sessionOptions;
    sessionOptions.cacheBytes = read.cache_bytes;
    sessionOptions.maxStepTokens = read.max_step_tokens;
    const denim::Plan *plan = nullptr;
    if (Status status = module->module->plan(device->device->machine(), plan))
      return status;
    denim::Weights weights;
    if (Status status = denim::Weights::map(read.weights, *plan, *device->device, weights))
      return status;
    std::unique_ptr<denim::Session> session;
    if (Status status =
            denim::Session::create(device->device, module->module, std::move(weights), sessionOptions, session))
      return status;
    *out_session = new denim_session_t{std::move(session)};
    return {};
  });
}

void denim_session_release(denim_session_t *session) {
  delete session;
}

denim_status_t denim_sequence_create(denim_session_t *session, denim_sequence_t *out_sequence) {
  return edge(
      [&] { return session && out_sequence ? session->session->createSequence(*out_sequence) : null("a session"); });
}

denim_status_t denim_sequence_fork(denim_session_t *session, denim_sequence_t from, denim_sequence_t *out_sequence) {
  return edge(
      [&] { return session && out_sequence ? session->session->fork(from, *out_sequence) : null("a session"); });
}

denim_status_t denim_sequence_length(denim_session_t *session, denim_sequence_t sequence, int64_t *out_length) {
  return edge(
      [&] { return session && out_length ? session->session->length(sequence, *out_length) : null("a session"); });
}

denim_status_t denim_sequence_release(denim_session_t *session, denim_sequence_t sequence) {
  return edge([&] { return session ? session->session->release(sequence) : null("a session"); });
}

denim_status_t denim_session_step(denim_session_t *session, const denim_step_entry_t *entries, size_t entry_count,
                                  int64_t row_count, float *out_logits) {
  return edge([&]() -> Status {
    if (!session || (!entries && entry_count) || (!out_logits && row_count > 0))
      return null(!session ? "a session" : !entries && entry_count ? "entries" : "out_logits");
    std::vector<denim::StepEntry> inside;
    for (size_t e = 0; e < entry_count; ++e) {
      const denim_step_entry_t &entry = entries[e];
      if (!entry.tokens && entry.token_count > 0)
        return denim::invalidArgument("entry ", e, ": expected ", entry.token_count, " tokens, but got NULL");
      int wanted; // C may store any value in an enum; C++ may not even read it
      std::memcpy(&wanted, &entry.logits, sizeof wanted);
      if (wanted < DENIM_LOGITS_NONE || wanted > DENIM_LOGITS_ALL)
        return denim::invalidArgument("entry ", e, ": expected logits none, last or all (0 to 2), but got ", wanted);
      inside.push_back({entry.sequence, entry.tokens, entry.token_count, static_cast<denim::Logits>(wanted)});
    }
    return session->session->step(inside.data(), inside.size(), out_logits, row_count);
  });
}

} // extern "C"
