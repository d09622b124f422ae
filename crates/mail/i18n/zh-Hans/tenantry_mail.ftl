## All mails

greeting = 您好，{ $name }：
greeting-without-name = 您好：
label-end = ：
label-sign-in = 登录
label-link = 链接
label-username = 用户名
label-password = 密码
label-when = 时间
label-new-email = 新电子邮件地址
label-applications = 应用
date-time = { $year }年{ $month }月{ $day }日 { $time }（UTC）
not-expected = 如果您没有预料到这封邮件，请告知您的管理员。
not-you = 如果这不是您本人的操作，请立即告知您的管理员。
ignore-if-not-you = 如果这不是您本人的操作，您无需理会。

## A temporary password

welcome-subject = 您的新账户：临时密码
welcome = 已为您创建账户。
reset-subject = 您的密码已重置：临时密码
reset = 您的密码已重置，旧密码不再有效。
forgotten-subject = 您申请了临时密码
forgotten = 有人为您的账户申请了临时密码。
credentials = 请使用以下用户名（Username）和密码（Password）登录：
temporary = 这是临时密码，有效期至 { $until }，只能用来设置您自己的密码：登录时会请您设置。

## Changes of an account

password-changed-subject = 您的密码已更改
password-changed = 您账户的密码已更改。
email-changed-subject = 您的电子邮件地址已更改
email-changed = 您账户的电子邮件地址已更改。本邮件发送到旧地址。
locked-subject = 您的账户已被锁定
locked-failed-logins = 由于连续多次登录失败，您的账户已被锁定。
locked-by-admin = 您的账户已被管理员锁定。
locked-next = 管理员解除锁定后，您就可以重新登录。
factor-added-subject = 您的账户已添加第二重验证
factor-added-app = 您的账户已添加身份验证器应用。登录时将要求输入其中的验证码。
factor-added-passkey = 您的账户已添加通行密钥，您可以用它登录。
factor-added-recovery-codes = 已为您的账户生成新的恢复代码，之前的代码不再有效。
factor-removed-subject = 您的账户已移除第二重验证
factor-removed-app = 身份验证器应用已从您的账户中移除。
factor-removed-passkey = 通行密钥已从您的账户中移除。
factor-removed-recovery-codes = 恢复代码已从您的账户中移除。
recovery-code-used-subject = 有人使用恢复代码登录
recovery-code-used = 有人使用恢复代码登录了您的账户。剩余代码数：{ $left }。

## What was forgotten, and addresses

forgotten-username-subject = 您的用户名
forgotten-username = 有人查询了您账户的用户名（Username），您可以用它登录。
verify-email-subject = 请验证您的电子邮件地址
verify-email = 请在 { $until } 之前打开此链接，以确认这是您的电子邮件地址。

## Keys that sign ID tokens

keys-reset-subject = 签名密钥已更换
keys-reset = 此服务器的运营方更换了用于签署 ID 令牌的密钥。以下应用的用户仍保持登录，但之前签发的 ID 令牌无法再通过验证。
keys-reset-next = 大多数应用会自行获取新密钥。如果某个应用拒绝用户登录，请重新启动它，或让它重新获取密钥。

## A test of the settings

test-subject = 邮件发送测试
test = 这是一封测试邮件，您无需进行任何操作。
