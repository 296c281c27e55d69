// SPDX-License-Identifier: Apache-2.0
import SluiceWeb

/// Where a key set is. Over plain HTTP anybody on the way could put a key of their own into it, so `http` is for loopback.
package enum KeySetLocation: Equatable, Sendable {
    case file(String)
    case url(WebAddress)

    package init?(_ text: String) {
        if let address = WebAddress(text) {
            guard address.usesTLS || ListenAddress(host: address.host, port: address.port).isLoopback else {
                return nil
            }
            self = .url(address)
        } else if text.isEmpty || text.contains("://") {
            return nil
        } else {
            self = .file(text)
        }
    }
}
