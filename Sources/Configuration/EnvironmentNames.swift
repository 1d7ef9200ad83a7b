// EnvironmentNames.swift: the variables that say what settings are.
// Owns: their names, and which are none of ours. Source: issue "Configuration".

package enum EnvironmentNames {
    package static let prefix = "OUTRIGGER_"
    /// Names the configuration file.
    package static let file = "OUTRIGGER_CONFIG"

    /// Whether Kubernetes has set it for a service that is called "outrigger": it does so in every container
    /// of the namespace. Source: kubernetes.io, "Discovering services", environment variables.
    static func isServiceLink(_ name: String) -> Bool {
        let rest = name.dropFirst(prefix.count)
        return rest == "PORT" || rest.hasPrefix("PORT_") || rest == "SERVICE_HOST" || rest == "SERVICE_PORT"
            || rest.hasPrefix("SERVICE_PORT_")
    }
}

extension Reading {
    /// Takes what the environment says.
    mutating func takeEnvironment(_ settings: inout Settings) {
        for (name, value) in outside.variables.sorted(by: { $0.name < $1.name }) {
            guard name.hasPrefix(EnvironmentNames.prefix), name != EnvironmentNames.file,
                !EnvironmentNames.isServiceLink(name)
            else { continue }
            let place = Place.environment(variable: name)
            guard let setting = Setting.all.first(where: { $0.variable == name }) else {
                let known = Setting.all.map(\.variable) + [EnvironmentNames.file]
                error(place, "unknown variable\(hint(name, among: known))")
                continue
            }
            var texts = [value]
            if case .userIDs = setting.form {
                texts = value.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            }
            take(setting, texts, place, &settings)
        }
    }

    /// Sets `setting` and remembers who said so.
    mutating func take(_ setting: Setting, _ texts: [String], _ place: Place, _ settings: inout Settings) {
        if let wrong = setting.set(texts, in: &settings) {
            error(place, wrong)
        } else {
            settings.places[setting.name] = place
        }
    }
}
