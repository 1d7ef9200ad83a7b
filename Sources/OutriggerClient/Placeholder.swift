// OutriggerClient
