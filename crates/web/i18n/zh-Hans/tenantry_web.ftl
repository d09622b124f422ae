## All pages

skip-to-content = 跳到正文
language = 语言
details = 详细信息
request-id = 请求编号
go-to-sign-in = 前往登录
go-to-account = 前往您的帐户
show-password = 显示密码
required-field = 此项必填。

## Sign in

sign-in-title = 登录
sign-in-to = 登录到 { $name }
sign-in-username = 用户名
sign-in-password = 密码
sign-in-keep = 保持登录状态
sign-in-keep-hint = 30 天，仅限此设备。请勿在公用电脑上使用。
sign-in-submit = 登录
sign-in-forgot-password = 忘记密码？
sign-in-forgot-username = 忘记用户名？
sign-in-failed = 用户名或密码错误。请检查后重试。密码区分大小写。
sign-in-too-many =
    { $minutes ->
       *[other] 来自您网络的失败尝试过多。请在 { $minutes } 分钟后重试。
    }

## Sign out

sign-out-title = 退出登录
sign-out-question = { $name }，您要退出登录吗？
sign-out-asked-by = { $name } 请求您退出登录。
sign-out-explanation = 通过此次登录打开的应用也会退出。
sign-out-submit = 退出登录
sign-out-stay = 保持登录
signed-out-title = 您已退出登录
signed-out-explanation = 您可以关闭此窗口，或重新登录。

## Choose an account

choose-account-title = 选择帐户
choose-account-to-continue = 以继续前往 { $name }
choose-account-submit = 以 { $name } 的身份继续
choose-account-other = 以其他人的身份登录
choose-account-other-hint = 届时您将退出上面的帐户。

## Back to the application, by a form

client-form-title = 返回应用
client-form-to = 返回 { $name }
client-form-explanation = 您的浏览器正在将结果发送给应用。如果没有反应，请点击按钮。
client-form-submit = 继续

## Set a password

set-password-title = 设置新密码
set-password-explanation = 您是用临时密码或已过期的密码登录的。请设置自己的密码以继续。
set-password-new = 新密码
set-password-submit = 设置密码并继续
set-password-rules = 您的密码：
set-password-met = 已满足
set-password-unmet = 尚未满足
set-password-problem = 不能使用此密码。尚未满足以下规则：您的密码……
rule-length = 有 12 到 40 个字符
rule-characters = 由不带重音的字母、数字和特殊字符组成，不含空格或冒号
rule-ends = 以字母或数字开头和结尾
rule-upper-case = 含有大写字母
rule-lower-case = 含有小写字母
rule-digit = 含有数字
rule-special = 含有特殊字符，例如 - _ . ! 或 #
rule-names = 不含您的用户名、姓名或电子邮件地址
rule-common = 不是常见密码
rule-used-before = 不是您最近的 12 个密码之一，也不是临时密码
rule-length-nist = 有 15 到 128 个字符，可用任何语言，也可以有空格
rule-characters-nist = 不含制表符等控制字符
rule-names-nist = 不是您的用户名或电子邮件地址

## Account

account-title = 您的帐户
account-sign-out = 退出登录
account-profile = 个人资料
account-password = 密码
account-sessions = 会话
account-applications = 已关联的应用
account-language = 语言
account-save = 保存
account-saved = 更改已保存。

## Fields of the profile

field-username = 用户名
field-first-name = 名字
field-last-name = 姓氏
field-display-name = 显示名称
field-display-name-hint = 将代替您的姓名显示。留空则使用您的姓名。
field-title = 职务
field-phone-number = 电话号码
field-email = 电子邮件地址
field-email-hint = 更改通知会发送到之前的地址。
field-username-hint = 您用它登录。
field-optional = 选填

## What is wrong with a field

problem-fix = 尚未保存任何内容。请检查下面标出的内容。
problem-empty = 此项不能为空。
problem-too-long = 内容过长。
problem-control-character = 其中包含此处不能使用的字符。
problem-invisible = 只有不可见的字符。请填写看得见的名称。
problem-username = 只能使用字母、数字和 . - _ + @，不能有空格。
problem-username-taken = 此用户名已被他人使用。请另选一个。
problem-email = 这不是有效的电子邮件地址。
problem-changed-meanwhile = 此项刚才已在别处改为“{ $current }”。再次保存即可用您填写的内容替换它。
problem-changed-meanwhile-empty = 此项刚才已在别处被清空。再次保存即可用您填写的内容替换它。
problem-other = 此内容不能使用。

## The e-mail address in the profile

email-verified = 此地址已验证。
email-unverified = 此地址尚未验证。
email-verify = 发送验证链接
email-link-sent = 我们已将链接发送至 { $address }。请在 24 小时内打开。如果没有收到，请查看垃圾邮件文件夹。
email-link-too-many =
    { $minutes ->
       *[other] 您刚才已请求过链接。如果没有收到，可在 { $minutes } 分钟后再次请求。
    }
email-hold = 您更改了电子邮件地址。为防是他人所为，在 { $until } 之前，含有密码的邮件仍会发送到您之前的地址 { $address }。

## The status in the profile

status-label = 帐户状态
status-active = 启用
status-inactive = 停用
status-locked = 锁定
status-hint = 如果您选择启用以外的状态，您将立即在所有地方和所有应用中退出登录。之后只有管理员才能重新启用您的帐户。
status-change = 更改状态
status-last-admin = 您是组织中最后一位启用的管理员。请先将其他人设为管理员。未做任何更改。

## Password in the account

password-current = 当前密码
password-change = 更改密码
password-wrong = 这不是您当前的密码。
password-ends-others = 更改密码后，您在其他所有地方都会退出登录。
password-changed = 密码已更改。您在其他所有地方均已退出登录。

## Second factors

account-security = 安全
second-factor-title = 请确认是您本人
second-factor-app = 请输入身份验证器应用显示的验证码。
second-factor-recovery-code = 如果不在身边，请输入一个恢复代码。
second-factor-code = 验证码
second-factor-remember = 在此设备上不再询问
second-factor-remember-hint = 有效期 { $days } 天。请勿在公用电脑上使用。
second-factor-submit = 继续
second-factor-failed = 验证码错误或已被使用。请等待下一个验证码后重试。
second-factor-passkey = 使用通行密钥
second-factor-passkey-cancelled = 没有使用通行密钥。请重试。
second-factor-passkey-failed = 此通行密钥未能确认是您本人。请重试，或使用其他因素。
second-factor-passkey-unsupported = 您的通行密钥不能在此浏览器中使用。需要启用脚本，以及您的设备或安全密钥。
second-factor-lost = 没有可用的代码了？请让管理员移除您的第二重验证。
second-factor-required = 您的组织要求第二重验证。请添加后继续。
authenticator-title = 添加身份验证器应用
authenticator-intro = 手机上的身份验证器应用每 30 秒显示一个新的验证码，登录时需要输入。
authenticator-begin = 设置应用
authenticator-scan = 请用身份验证器应用扫描此图片。
authenticator-qr = 身份验证器应用的二维码
authenticator-key = 或输入此密钥：
authenticator-open = 在此设备上打开应用
authenticator-code = 应用当前显示的验证码
authenticator-confirm = 添加应用
authenticator-wrong-code = 这不是应用当前显示的验证码。请检查手机的时钟，并输入下一个验证码。
authenticator-no-master-key = 此服务器没有用于加密的主密钥，无法添加身份验证器应用。请告知管理员。
recovery-codes-title = 您的恢复代码
recovery-codes-intro = 如果手机丢失，您可以用其中一个代码登录。每个代码只能使用一次。请打印或保存在密码管理器中。
recovery-codes-once = 这些代码只显示这一次。
recovery-codes-copy = 复制代码
recovery-codes-copied = 已复制
recovery-codes-print = 打印代码
recovery-codes-continue = 我已保存代码，继续
recovery-codes-left = 剩余恢复代码数：{ $left }
recovery-codes-make = 生成新的恢复代码
security-intro = 有了第二重验证，仅凭密码无法登录您的账户。
security-none = 您没有第二重验证。
security-off = 此处已关闭第二重验证。
security-required-from = 您的组织自 { $when } 起要求第二重验证。请在此之前添加。
security-add-app = 添加身份验证器应用
factor-app = 身份验证器应用
factor-passkey = 通行密钥
factor-recovery-codes = 恢复代码
factor-added = 添加于 { $when }
factor-remove = 移除：{ $name }
factor-removed = 第二重验证已移除。
factor-last = 您的组织要求第二重验证。请先添加另一个，再移除此项。
devices-title = 已记住的设备
devices-count = 不要求验证码的设备数：{ $count }
devices-forget = 在所有设备上重新要求验证码
devices-forgotten = 所有设备都将重新要求验证码。

## Passkeys

account-passkeys = 通行密钥
passkeys-intro = 通行密钥让您用设备的锁来登录：指纹、面容或 PIN 码。您不必输入用户名和密码，假冒网站也无法骗取它。
passkeys-too-old = 要添加、重命名或移除通行密钥，您必须在最近 5 分钟内登录过。
passkeys-sign-in-again = 重新登录
passkeys-unsupported = 此浏览器无法在这里添加通行密钥。需要启用脚本，并有带屏幕锁的设备或安全密钥。
passkeys-need-a-name = 这里无法使用通行密钥，因为此服务器的地址是数字：浏览器只为名称保存通行密钥。请联系管理员。
passkeys-need-https = 这里无法使用通行密钥，因为此服务器不是通过 https 访问的。请联系管理员。
passkeys-name = 通行密钥的名称
passkeys-name-hint = 请选一个能让您认出该设备的名称。
passkeys-default-name = 我的设备
passkeys-add = 添加通行密钥
passkeys-yours = 您的通行密钥
passkeys-none = 您还没有通行密钥。
passkeys-synced = 在您的多台设备上
passkeys-one-device = 在一台设备上
passkeys-since = 添加于 { $when }
passkeys-last-used = 上次使用 { $when }
passkeys-never-used = 尚未使用
passkeys-change = 重命名或移除：{ $name }
passkeys-rename = 保存名称
passkeys-remove = 移除通行密钥：{ $name }
passkeys-added = 通行密钥已添加。从现在起您可以用它登录。
passkeys-renamed = 名称已保存。
passkeys-removed = 通行密钥已移除，不能再用它登录。如果您的设备仍然显示它，请在设备上删除。
passkeys-taken-here = 此设备已有您帐户的通行密钥。
passkeys-not-created = 没有添加通行密钥。准备好后请重试。
passkeys-too-many = 您已有 { $count } 个通行密钥，这是上限。请先移除一个再添加。
passkeys-bad-name = 没有保存：名称须有 1 到 64 个可见字符，不含换行。
passkeys-invalid = 此通行密钥不能在这里使用。没有任何更改。请重试，或使用其他设备。
passkeys-gone = 此通行密钥已不存在。没有任何更改。
passkeys-expired = 页面打开的时间过长。没有任何更改。请重试。
passkeys-taken = 此通行密钥已经注册。没有任何更改。
passkeys-last-factor = 您必须有第二因素，而这是您唯一的一个。请先添加另一个再移除。
passkeys-off = 这里已关闭通行密钥。没有任何更改。请联系管理员。
passkeys-nothing-changed = 没有任何更改。请先看下面要做什么。
sign-in-passkey = 使用通行密钥登录
sign-in-passkey-cancelled = 您没有用通行密钥登录。请重试，或使用密码。
sign-in-passkey-refused = 此通行密钥不能让您登录。请换一个，或使用密码。
sign-in-passkey-expired = 页面打开的时间过长。请重试。
sign-in-passkey-temporary = 请先用邮件中的临时密码登录，并设置新密码。之后您的通行密钥就能再次使用。

## Sessions

sessions-intro = 以下是您已登录的地方。如果有您不认识的会话，请将其结束并更改密码。
sessions-end-others = 在其他所有地方退出登录
sessions-end-all = 在所有地方退出登录（包括此处）
sessions-end-one = 结束会话：{ $what }
sessions-browsers = 浏览器
sessions-of-applications = 应用
sessions-no-applications = 没有应用通过您的会话获得访问权限。
sessions-this-one = 当前浏览器
sessions-begun = 始于 { $when }
sessions-last-used = 最近使用于 { $when }
sessions-from = 来自 { $address }
sessions-unknown-browser = 未知浏览器
sessions-direct = 使用用户名和密码登录
sessions-ended = 会话已结束。
sessions-others-ended = 您在其他所有地方均已退出登录。
sessions-gone = 此会话已不存在。未做任何更改。
sessions-more = 仅显示最新的 { $count } 个。

## Connected applications

applications-intro = 这些应用可以获知您的以下信息。如果您撤回授权，它们将退出登录，并需要再次征得您的同意。
applications-none = 您尚未关联任何应用。
applications-since = 关联于 { $when }
applications-withdraw = 取消关联 { $name }
applications-withdrawn = 已取消关联该应用。
applications-gone = 此应用已不再关联。未做任何更改。

## Language in the account

language-intro = 这些页面和发给您的邮件所用的语言。
language-of-browser = 我的浏览器的语言

## Consent

consent-title = 要关联 { $name } 吗？
consent-intro = { $name } 想知道您是谁。您当前以 { $username } 的身份登录。
consent-gets = 该应用将获得：
consent-allow = 允许
consent-deny = 不允许
consent-later = 您随时可以在帐户的“已关联的应用”中撤回。
scope-openid = 您帐户的编号，用于识别您
scope-profile = 您的姓名、用户名和语言
scope-email = 您的电子邮件地址
scope-phone = 您的电话号码
scope-groups = 您所属的群组
scope-partner = 您所属的组织
scope-offline-access = 在您未登录时也能访问上述信息
scope-read = 查看您在此处可以查看的数据
scope-write = 更改您在此处可以更改的数据

## Forgotten password and username

forgot-password-title = 忘记密码？
forgot-password-intro = 我们会通过邮件向您发送临时密码。在您使用它之前，当前密码仍然有效。
forgot-password-who = 用户名或电子邮件地址
forgot-password-submit = 发送临时密码
forgot-username-title = 忘记用户名？
forgot-username-intro = 我们会将与您的电子邮件地址对应的用户名发送到该地址。
forgot-username-submit = 发送我的用户名
forgot-sent-title = 请查收邮件
forgot-password-sent = 如果存在使用此名称或地址的有效帐户，临时密码将发送到该帐户的地址。请用它登录并设置新密码。
forgot-username-sent = 如果存在使用此地址的有效帐户，其用户名将发送到该地址。
forgot-not-arrived = 几分钟后仍未收到？请查看垃圾邮件文件夹，检查您填写的内容，或询问您的管理员。此类邮件每 10 分钟最多发送一封。
forgot-too-many =
    { $minutes ->
       *[other] 来自您所在网络的请求过多。请在 { $minutes } 分钟后重试。
    }

## Console

console-title = 控制台
console-home = 概览
console-users = 用户
console-cost =
    { $count ->
       *[other] { $users } 位用户 · { $ms } 毫秒
    }
console-refused-title = 控制台仅供管理员使用
console-refused = 您以 { $name } 的身份登录，该账户不是您组织的管理员。请让管理员授予您权限，或使用其他账户登录。
console-yes = 是
console-no = 否
console-all = 全部
console-you = 您
console-open = 打开
console-close = 关闭
console-cancel = 取消
console-add = 添加
console-remove = 移除
console-create = 创建
console-never = 从未
console-saved = 已保存。
console-at-least = 至少 { $count }

## Console: keys of the keyboard

console-keys = 键盘快捷键
console-keys-on = 使用单个按键作为快捷键
console-key-next = 下一行
console-key-previous = 上一行
console-key-edit = 打开并编辑该行
console-key-search = 转到搜索
console-key-help = 显示这些快捷键
console-key-leave = 离开该行，或关闭此窗口

## Console: lists

console-search = 搜索
console-search-users = 搜索用户
console-filters = 筛选
console-columns = 列
console-order = 排序
console-page = 页
console-pages = 分页
console-page-size = 每页行数
console-of-pages = 共 { $pages } 页
console-of-many-pages = 至少 { $pages } 页
console-go = 前往
console-first = 首页
console-previous = 上一页
console-next = 下一页
console-last = 末页
console-apply = 应用
console-exactly = 用户名、地址和外部 ID 必须完全一致，不区分大小写。
console-group = 群组
console-group-id = 群组（按 ID）
console-nested = 包括其嵌套的群组
console-filter-wrong = 无法使用：
console-filters-wrong = 未列出任何内容，因为此地址中的某些条件无法识别。请移除上方标出的条件。
console-remove-filter = 移除筛选：{ $name }
console-remove-filters = 全部移除
console-total-users =
    { $count ->
       *[other] { $users } 位用户
    }
console-total-users-at-least = 至少 { $users } 位用户
console-no-users = 没有匹配的用户。请检查拼写，或移除某个筛选条件。
console-no-such-page = 列表没有这么多页。
console-curl = 等效的 API 调用

## Console: a user

console-user-id = ID
console-user-number = 用户 { $id }
console-status = 状态
console-active = 已启用
console-inactive = 已停用
console-locked = 已锁定
console-active-hint = 可以登录。系统会立即通过邮件发送临时密码。
console-inactive-hint = 不能登录。启用时会通过邮件发送密码。
console-admin = 管理员
console-admins = 管理员
console-is-admin = 管理员
console-is-admin-hint = 可以查看和更改此控制台中的所有内容。
console-external-id = 外部 ID
console-display-name-hint = 代替姓名显示。
console-external-id-hint = 此用户在您自己系统中的标识，每个只能使用一次。
console-locale-hint = 语言标签，例如 en、nl 或 zh-Hans。邮件和页面会使用该语言。
console-problem-locale = 这不是语言标签。请填写例如 en 或 pt-BR。
console-problem-external-id-taken = 另一位用户已使用此外部 ID。
console-problem-last-admin = 这是最后一位已启用的管理员。请先将其他人设为管理员。未做任何更改。
console-problem-self-delete = 您不能删除自己，必须由其他管理员操作。未做任何更改。
console-created = 创建时间
console-updated = 最后更改
console-last-login = 最近登录
console-groups = 群组
console-group-name = 群组名称
console-no-groups = 不属于任何群组。
console-no-such-group = 没有此名称的群组，或该用户已不在其中。未做任何更改。
console-remove-from = 从 { $name } 中移除
console-new-user = 新建用户
console-created-user = 用户已创建。
console-all-users = 所有用户
console-unknown-user-title = 没有此用户
console-unknown-user = 您的组织中没有使用此 ID 的用户，可能已被删除：
console-about-user = 关于此用户
console-lock = 锁定
console-unlock = 解锁
console-activate = 启用
console-deactivate = 停用
console-status-hint = 锁定和停用会立即结束所有会话。
console-more = 更多
console-reset-password = 重置密码…
console-reset-password-hint = 系统会向用户发送临时密码。旧密码和所有会话将立即失效。
console-reset-password-now = 重置并发送邮件
console-password-reset = 临时密码已发送给用户。
console-delete-user = 删除用户…
console-delete-user-hint = 所有会话将立即结束。在服务器的保留期结束之前，可以恢复该用户。
console-delete-now = 删除 { $name }
console-stale = 自您打开表单后，其他人更改了此用户。尚未保存任何内容。请比较两个版本，然后重新保存或采用对方的版本。
console-versions = 两个版本
console-field = 字段
console-theirs = 当前已保存
console-yours = 您输入的
console-versions-hint = 您未更改的内容取自已保存的版本。
console-take-theirs = 放弃我的输入
console-direct = 通过 API 登录
console-no-sessions = 此用户未在任何地方登录。
console-begun = 开始于
console-last-used = 最近使用
console-end-all = 结束所有会话
console-sessions-ended = 所有会话均已结束。
console-permissions = 权限
console-not-active = 只有已启用的用户才有权限。
console-total-permissions =
    { $count ->
       *[other] { $shown } 项权限
    }
console-object-type = 类型
console-object = 对象
console-permission = 权限
console-why = 原因
console-every-object = 所有对象
console-as-admin = 是管理员
console-history = 历史记录
console-total-events =
    { $count ->
       *[other] { $shown } 个事件
    }
console-by = 操作者
console-operator = 运营者
console-server = 服务器
console-json = JSON

## Console: groups

console-search-groups = 搜索群组
console-new-group = 新建群组
console-new-nested = 在此群组中新建群组
console-description = 说明
console-parent = 所属上级群组
console-parent-hint = 群组名称。此群组的成员也将拥有上级群组的权限。
console-nested-in = 所属上级群组
console-nested-groups = 嵌套的群组
console-no-nested = 没有嵌套在此群组中的群组。
console-first-nested = 仅显示前 { $count } 个，可通过搜索查找其他群组。
console-members = 成员
console-remove-member = 将 { $name } 移出群组
console-about-group = 关于此群组
console-outermost = 最外层
console-total-groups =
    { $count ->
       *[other] { $groups } 个群组
    }
console-no-groups-yet = 还没有群组。群组可为其成员授予权限：请创建第一个。
console-no-group-found = 没有匹配的群组。请检查拼写。
console-all-groups = 所有群组
console-unknown-group-title = 没有此群组
console-unknown-group = 您的组织中没有使用此 ID 的群组，可能已被删除：
console-group-created = 群组已创建。
console-group-deleted = 群组已删除。
console-no-such-member = 没有此用户，或该用户已不是成员。未做任何更改。
console-delete-group = 删除群组…
console-delete-group-hint = 其成员仍是用户，但会失去来自该群组的权限。此操作无法撤销。
console-stale-group = 自您打开表单后，其他人更改了此群组。尚未保存任何内容。请比较两个版本，然后重新保存或采用对方的版本。
console-problem-group-name-taken = 已有其他群组使用此名称。
console-problem-no-parent = 没有此名称的群组。
console-problem-nesting-cycle = 群组不能嵌套在自身中，也不能嵌套在其下级群组中。
console-problem-nesting-too-deep = 群组最多可嵌套八层。

## Console: deleted users

console-deleted-users = 已删除的用户
console-search-deleted = 搜索已删除的用户
console-name = 姓名
console-deleted-at = 删除时间
console-no-deleted = 此处没有已删除的用户。已删除的用户在被清除之前可在此恢复。
console-restore = 恢复
console-restore-user = 恢复 { $name }
console-deleted-now = 用户已删除。如需撤销，请在此恢复该用户。
console-restored = 用户已恢复，包括密码和群组。
console-restored-some = 用户已恢复，但不包括已不存在的群组。
console-problem-not-deleted = 该已删除的用户已不存在。未做任何更改。
console-problem-restore-username = 此用户名现已被他人使用。请先更改对方的用户名。未做任何更改。
console-problem-restore-external-id = 另一位用户现已使用此外部 ID。请先更改该用户。未做任何更改。
console-address-wrong = 此地址包含无法识别的内容。请重新搜索。

## Console: the first page

console-last-events = 最近事件
console-attention = 需要关注
console-locked-users =
    { $number ->
       *[other] { $users } 位用户已被锁定
    }
console-nothing = 目前没有。
console-first-step = 创建第一位用户

## Events

event-user-created = 用户已创建
event-user-updated = 用户已更改
event-user-deleted = 用户已删除
event-user-restored = 用户已恢复
event-user-erased = 用户已清除
event-user-locked = 因登录失败被锁定
event-user-login-refused = 登录被拒绝
event-email-verified = 电子邮件地址已验证
event-user-signed-in = 在浏览器中登录
event-user-signed-out = 在浏览器中退出
event-password-issued = 已发放临时密码
event-password-reset = 密码已重置
event-password-changed = 密码已更改
event-session-started = 会话已开始
event-session-ended = 会话已结束
event-session-replayed = 已使用的令牌被再次使用
event-group-created = 群组已创建
event-group-updated = 群组已更改
event-group-deleted = 群组已删除
event-group-member-added = 已加入群组
event-group-member-removed = 已移出群组
event-group-permissions-changed = 群组权限已更改
event-mail-set-aside = 一封邮件无法送达
event-consent-granted = 已连接应用程序
event-consent-withdrawn = 已断开应用程序

## Verify the e-mail address

verify-email-title = 验证您的电子邮件地址
verify-email-question = { $address } 是您的电子邮件地址吗？
verify-email-explanation = 仅当链接是您本人请求的时，才按下按钮。
verify-email-submit = 是，验证
verify-email-done-title = 您的电子邮件地址已验证
verify-email-done = { $address } 已验证。您可以关闭此窗口。

## Errors

error-title = 出错了
error-unknown-client-title = 未知应用
error-unknown-client = 将您带到这里的应用未注册。请返回该应用并告知其开发者。未作任何更改。
error-bad-redirect-uri-title = 应用的地址未注册
error-bad-redirect-uri = 该应用要求我们将您带往一个未为其注册的地址，因此我们没有照做。请返回该应用并告知其开发者。未作任何更改。
error-bad-request-title = 无法理解此请求
error-bad-request = 带您来此的链接或表单不完整或有误。请返回重试。如果您来自某个应用，请告知其开发者。未作任何更改。
error-stale-form-title = 此表单已失效
error-stale-form = 页面打开时间过长，或者您之后在另一个窗口中登录或退出过。请重新打开页面并再做一次。未作任何更改。
error-foreign-origin-title = 此表单来自其他网站
error-foreign-origin = 为了您的安全，我们只接受来自本站页面的表单。请重新打开页面并在那里填写。未作任何更改。
error-cookies-off-title = Cookie 已关闭
error-cookies-off = 您的浏览器没有发送我们的 Cookie，没有它就无法保持登录。请允许本站使用 Cookie，然后重新打开页面。未作任何更改。
error-expired-request-title = 此次登录已过期
error-expired-request = 登录用时超过一小时，或者链接被更改。请返回应用重新登录。未作任何更改。
error-expired-link-title = 此链接已失效
error-expired-link = 链接已过期或已被使用。请重新申请。未作任何更改。
error-signed-out-title = 您已退出登录
error-signed-out = 您的会话已结束。请重新登录并再做一次。未作任何更改。
error-not-allowed-title = 您无权执行此操作
error-not-allowed = 您的帐户没有此权限。请联系管理员。未作任何更改。
error-not-found-title = 找不到页面
error-not-found = 此地址没有页面。请检查地址，或前往您的帐户。
error-method-not-allowed-title = 不能这样打开此页面
error-method-not-allowed = 请通过其地址打开，或通过通向它的表单打开。未作任何更改。
error-too-many-title = 请求过多
error-too-many = 来自您网络的请求过多。请等待一分钟后重试。
error-unavailable-title = 服务器繁忙
error-unavailable = 服务器暂时无法响应。请稍候重试。未作任何更改。
error-internal-title = 出错了
error-internal = 这是我们的错误，不是您的。请重试；如果再次发生，请将下面的请求编号告知管理员。
