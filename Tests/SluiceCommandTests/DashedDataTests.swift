// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Testing

@testable import sluice

@Suite struct DashedDataTests {
    @Test(arguments: ["-5", "---", "--- yaml", "-1.5 °C", "-- x", "--a b", "-{}", "-"])
    func whatCantBeAnOptionIsPublished(_ data: String) throws {
        let arguments = DashedData.separated(["publish", "--topic", "t", data])
        let command = try #require(try Sluice.parseAsRoot(arguments) as? Publish)
        #expect(command.data == data)
        #expect(command.topic == "t")
    }

    @Test(arguments: ["-x", "--quit", "--evnt=x"])
    func whatCouldBeOneIsNotAndTheHintSaysHow(_ data: String) {
        let arguments = ["publish", "--topic", "t", data]
        #expect(DashedData.separated(arguments) == arguments)
        #expect(DashedData.hint(arguments)?.contains(" -- ") == true)
    }

    @Test func anOptionsValueStaysItsValue() throws {
        let arguments = DashedData.separated(["publish", "x", "--topic", "-t", "--event", "-e", "--key", "-5"])
        let command = try #require(try Sluice.parseAsRoot(arguments) as? Publish)
        #expect([command.topic, command.event, command.key, command.data] == ["-t", "-e", "-5", "x"])
        let subscribe = try Sluice.parseAsRoot(["subscribe", "--topic", "-a", "--topic", "--b", "--client", "-c"])
        #expect((subscribe as? Subscribe)?.topic == ["-a", "--b"])
        #expect((subscribe as? Subscribe)?.client == "-c")
        let token = try Sluice.parseAsRoot(["token", "--key", "k", "--subscribe", "-a*", "--publish", "-b"])
        #expect((token as? Token)?.subscribe == ["-a*"])
        #expect((token as? Token)?.publish == ["-b"])
    }

    @Test func othersAreLeftAlone() {
        for arguments in [
            [], ["publish"], ["publish", "--topic", "t", "--", "-5"], ["publish", "--topic", "t", "-q"],
            ["serve", "-5"], ["publish", "--topic", "t", "--help"],
        ] { #expect(DashedData.separated(arguments) == arguments) }
    }
}
