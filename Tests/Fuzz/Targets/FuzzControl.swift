// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import SluiceGateway

extension FuzzTarget {
    /// What nodes say to each other is written as it is read, and names nothing that is not legal.
    static func control(_ input: FuzzInput) {
        if let reading = try? ControlMessage.read(input.bytes) { check(reading) }
        if let answer = try? SurveyAnswer(json: input.text) {
            precondition(NodeID.isValid(answer.node) && answer.counts.allSatisfy { $0 >= 0 })
            guard let again = try? SurveyAnswer(json: answer.json) else { fatalError("an answer is not read") }
            precondition(again.counts == answer.counts && again.report?.entry == answer.report?.entry)
        }
        if let request = try? PresenceRequest(json: input.bytes) {
            precondition((1...SurveyQuestion.namesMax).contains(request.targets.count))
            precondition(Set(request.targets).count == request.targets.count)
        }
    }

    private static func check(_ reading: ControlMessage.Reading) {
        guard let message = reading.message else { return precondition(reading.unknown == 1) }
        if case .survey(let question) = message { precondition(NodeID.isValid(question.asker)) }
        let json = Array(message.json.utf8)
        json.withUnsafeBytes { bytes in
            guard let again = try? ControlMessage.read(bytes) else { fatalError("a message is not read") }
            precondition(again == ControlMessage.Reading(message: message, unknown: 0))
        }
    }
}
