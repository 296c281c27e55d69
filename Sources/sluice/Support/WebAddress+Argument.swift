// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import SluiceGateway

extension WebAddress: ExpressibleByArgument {
    package init?(argument: String) {
        self.init(argument)
    }
}
